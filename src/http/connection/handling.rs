//! A request's way to its handler.

use super::{Connection, Exchange, Panicked, Peer, Stage, guarded};
use crate::http::admission::Admitted;
use crate::http::codec::Head;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::service::ResponseFuture;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

impl<S: Peer> Connection<S> {
    /// Sees to it that a request comes to the service, now or when there is a place.
    #[inline]
    pub(super) fn begin(&mut self, head: Head, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.begun += 1;
        self.shared.bounds.refresh(&mut self.seen);
        let mut exchange = Exchange::new(&head);
        if self.begun >= self.seen.bounds.max_requests {
            self.shared.counters.max_requests_reached.one();
            exchange.keep_alive = false;
        }
        exchange.keep_alive &= !self.seen.bounds.keep_alive.is_zero();
        let body = self.begin_body(&head, &mut exchange);
        let request = Request::new(head, body);
        if self.placed && self.shared.admission.is_wanted() {
            // Others come first.
            self.leave();
        }
        if self.placed {
            return self.call(request, exchange, cx);
        }
        match self.shared.admission.ask(&self.seen.bounds) {
            Admitted::Now => {
                self.placed = true;
                return self.call(request, exchange, cx);
            }
            Admitted::Later(waits) => {
                self.shared.counters.waited.one();
                self.stage = Stage::Waiting(Box::new((waits, request)), exchange);
            }
            Admitted::Full => {
                drop(request);
                self.shared.counters.refused_at_once.one();
                self.answer_busy(&exchange);
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Stage::Waiting(waiting, _) = &mut self.stage else { return Poll::Ready(Ok(())) };
        let Poll::Ready(place) = Pin::new(&mut waiting.0).poll(cx) else {
            self.send_off(cx)?;
            self.watch_peer(cx)?;
            return Poll::Pending;
        };
        place.unguarded();
        self.placed = true;
        match std::mem::replace(&mut self.stage, Stage::Head) {
            Stage::Waiting(waiting, exchange) => {
                let (waits, request) = *waiting;
                drop(waits);
                self.call(request, exchange, cx)
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Hands a request to the service, which most often has its answer at once.
    #[inline]
    fn call(
        &mut self,
        request: Request,
        exchange: Exchange,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let (service, told) = (&self.service, &self.told);
        // Kept out here, so that what panics in its drop does not do so on top of a panic in its poll.
        let mut begun = None;
        let polled = guarded(|| begun.insert(service.call_told(request, told)).as_mut().poll(cx));
        match (begun, polled) {
            (Some(future), Ok(Poll::Ready(response))) => self.answer_of(future, response, exchange),
            (Some(future), Ok(Poll::Pending)) => {
                self.told.pause();
                self.stage = Stage::Handling(future, exchange);
                return self.poll_while_pending(cx);
            }
            (future, _) => {
                let _ = guarded(move || drop(future));
                self.answer_panic(exchange);
            }
        }
        self.told.pause();
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_handler(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let Stage::Handling(future, _) = &mut self.stage else { return Poll::Ready(Ok(())) };
            self.told.resume();
            let polled = guarded(|| future.as_mut().poll(cx));
            if let Ok(Poll::Pending) = polled {
                self.told.pause();
                ready!(self.poll_while_pending(cx))?;
                continue;
            }
            let Stage::Handling(future, exchange) = std::mem::replace(&mut self.stage, Stage::Head)
            else {
                return Poll::Ready(Ok(()));
            };
            match polled {
                Ok(Poll::Ready(response)) => self.answer_of(future, response, exchange),
                _ => {
                    let _ = guarded(move || drop(future));
                    self.answer_panic(exchange);
                }
            }
            self.told.pause();
            return Poll::Ready(Ok(()));
        }
    }

    /// Sends what a handler has answered.
    #[inline]
    fn answer_of(&mut self, future: ResponseFuture, response: Response, exchange: Exchange) {
        // What the handler holds is dropped before its answer is on its way.
        if let Err(Panicked) = guarded(move || drop(future)) {
            let _ = guarded(move || drop(response));
            return self.answer_panic(exchange);
        }
        self.answer(response, exchange);
    }
}

impl<S> Connection<S> {
    /// Gives back its place among the requests that are worked on.
    pub(super) fn leave(&mut self) {
        if std::mem::take(&mut self.placed) {
            self.shared.admission.leave();
        }
    }
}

impl<S> Drop for Connection<S> {
    fn drop(&mut self) {
        if self.placed {
            // The handler ends first.
            self.change(Stage::Done);
            self.leave();
        }
    }
}
