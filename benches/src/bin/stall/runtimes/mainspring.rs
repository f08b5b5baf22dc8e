//! mainspring, with the sentry and without.

use crate::WORKERS;
use crate::runtime::Runtime;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::TcpListener;
use std::time::Duration;

pub(crate) struct Mainspring<S> {
    runtime: mainspring::Runtime,
    sentry: PhantomData<S>,
}

/// Whether there is a sentry.
pub(crate) trait Sentry: 'static {
    const THERE: bool;
}

/// As by default.
pub(crate) struct Watched;

impl Sentry for Watched {
    const THERE: bool = true;
}

pub(crate) struct Unwatched;

impl Sentry for Unwatched {
    const THERE: bool = false;
}

impl<S: Sentry> Runtime for Mainspring<S> {
    fn start() -> Self {
        let builder = mainspring::Runtime::builder().worker_threads(WORKERS).sentry(S::THERE);
        Self { runtime: builder.build().expect("mainspring starts"), sentry: PhantomData }
    }

    fn submit<F: Future<Output = ()> + Send + 'static>(&self, task: F) {
        drop(self.runtime.spawn(task));
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(task: F) {
        drop(mainspring::spawn(task));
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send + 'static {
        mainspring::time::sleep(time)
    }

    async fn echo(listener: TcpListener, answered: impl Fn() + Send + 'static) -> io::Result<()> {
        let listener = mainspring::net::TcpListener::from_std(listener)?;
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let mut byte = [0];
        while stream.read(&mut byte).await? > 0 {
            stream.write_all(&byte).await?;
            answered();
        }
        Ok(())
    }
}
