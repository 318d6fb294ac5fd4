//! `GET /v1/jobs/export`: the link with a ticket, and its file.

mod link;
mod stream;
