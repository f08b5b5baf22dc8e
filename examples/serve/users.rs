//! Users, as long as the server lives.

use crate::app::Counting;
use http::{Method, StatusCode};
use mainspring::http::{Error, Json, Request};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The most users that are kept.
const MAX_USERS: usize = 100_000;

/// All users; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Users(Arc<Mutex<Table>>);

impl Users {
    fn with<T>(&self, f: impl FnOnce(&mut Table) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Default)]
struct Table {
    last_id: u64,
    by_id: BTreeMap<u64, User>,
}

#[derive(Clone, Serialize)]
struct User {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
struct NewUser {
    name: String,
}

/// To list, make, read, change and remove them.
pub(crate) fn routes(routes: Counting, users: &Users) -> Counting {
    fn missing() -> Error {
        Error::new(StatusCode::NOT_FOUND, "there is no user of this id")
    }
    let [list, create, read, update, delete] = std::array::from_fn(|_| users.clone());
    routes
        .get("/users", move |_req: Request| {
            let all: Vec<User> = list.with(|users| users.by_id.values().cloned().collect());
            async { Json(all) }
        })
        .post("/users", move |mut req: Request| {
            let own = create.clone();
            async move {
                let NewUser { name } = req.json().await?;
                let user = own.with(|users| {
                    if users.by_id.len() >= MAX_USERS {
                        return Err(Error::new(StatusCode::INSUFFICIENT_STORAGE, "too many users"));
                    }
                    users.last_id += 1;
                    let user = User { id: users.last_id, name };
                    users.by_id.insert(user.id, user.clone());
                    Ok(user)
                })?;
                Ok::<_, Error>((StatusCode::CREATED, Json(user)))
            }
        })
        .get("/users/{id}", move |req: Request| {
            let own = read.clone();
            async move {
                let id = req.param("id")?;
                let found = own.with(|users| users.by_id.get(&id).cloned());
                found.map(Json).ok_or_else(missing)
            }
        })
        .on(Method::PUT, "/users/{id}", move |mut req: Request| {
            let own = update.clone();
            async move {
                let id = req.param("id")?;
                let NewUser { name } = req.json().await?;
                let changed = own.with(|users| {
                    let user = users.by_id.get_mut(&id)?;
                    user.name = name;
                    Some(user.clone())
                });
                changed.map(Json).ok_or_else(missing)
            }
        })
        .on(Method::DELETE, "/users/{id}", move |req: Request| {
            let own = delete.clone();
            async move {
                let id: u64 = req.param("id")?;
                let gone = own.with(|users| users.by_id.remove(&id));
                gone.map(|_| StatusCode::NO_CONTENT).ok_or_else(missing)
            }
        })
}
