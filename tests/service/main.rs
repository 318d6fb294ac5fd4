//! The service from outside. `routes/` mirrors the functions; what concerns all of them stands beside it.

mod counting;
mod routes;
mod template;
mod tidy;
