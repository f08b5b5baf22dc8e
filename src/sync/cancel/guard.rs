//! Guards that cancel a token when they go.

use super::CancelToken;

/// Cancels its token when it is dropped. Made by [`CancelToken::drop_guard`].
#[derive(Debug)]
#[must_use = "the token is cancelled when the guard is dropped"]
pub struct DropGuard {
    // INVARIANT: `None` only once it was disarmed.
    token: Option<CancelToken>,
}

/// Cancels the token that it borrows when it is dropped. Made by [`CancelToken::drop_guard_ref`].
#[derive(Debug)]
#[must_use = "the token is cancelled when the guard is dropped"]
pub struct DropGuardRef<'a> {
    // INVARIANT: `None` only once it was disarmed.
    token: Option<&'a CancelToken>,
}

impl DropGuard {
    pub(super) fn new(token: CancelToken) -> Self {
        Self { token: Some(token) }
    }

    /// Gives the token back, and cancels nothing.
    #[must_use = "it gives the token back"]
    pub fn disarm(mut self) -> CancelToken {
        self.token.take().expect("a guard has its token until it is disarmed")
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            token.cancel();
        }
    }
}

impl<'a> DropGuardRef<'a> {
    pub(super) fn new(token: &'a CancelToken) -> Self {
        Self { token: Some(token) }
    }

    /// Gives the token back, and cancels nothing.
    pub fn disarm(mut self) -> &'a CancelToken {
        self.token.take().expect("a guard has its token until it is disarmed")
    }
}

impl Drop for DropGuardRef<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            token.cancel();
        }
    }
}
