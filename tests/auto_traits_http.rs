//! Which threads each public type of the server may go to.
#![cfg(not(loom))]

#[path = "common/auto_traits.rs"]
mod auto_traits;

use auto_traits::{implements, table};
use mainspring::http::{
    App, BadBound, BadParam, BadQuery, Body, BodyError, Bounds, BuildError, Cors, CorsError,
    CorsLayer, Drained, Error, Json, JsonError, MissingState, Next, Request, Response, RouteError,
    RouteMetrics, RouteProblem, RouteSnapshot, Router, RunError, Server, ServerBuilder,
    ServerHandle, ServerMetrics, Sse, SseEvent, Times,
};
use std::cell::Cell;
use std::rc::Rc;

#[test]
fn every_public_type_of_the_server() {
    table! {
        Body: true true true;
        Bounds: true true true;
        BadBound: true true true;
        Cors: true true true;
        CorsError: true true true;
        CorsLayer: true true true;
        Error: true true true;
        BodyError: true true true;
        JsonError: true true true;
        BadQuery: true true true;
        BadParam: true true true;
        MissingState: true true true;
        Times: true true true;
        RouteMetrics: true true true;
        RouteSnapshot: true true true;
        Next: true true true;
        Request: true true true;
        // Its body comes from a stream that one thread at a time polls.
        Response: true false true;
        Json<u8>: true true true;
        Json<Cell<u8>>: true false true;
        Json<Rc<u8>>: false false true;
        App: true true true;
        RouteError: true true true;
        RouteProblem: true true true;
        Router: true true true;
        // What is to run at the start and at the end is called once, so it need not be shared.
        ServerBuilder: true false true;
        BuildError: true true true;
        RunError: true true true;
        ServerMetrics: true true true;
        Server: true false true;
        ServerHandle: true true true;
        Drained: true true true;
        Sse<u8>: true true true;
        Sse<Rc<u8>>: false false true;
        Sse<std::marker::PhantomPinned>: true true false;
        SseEvent: true true true;
    }
}
