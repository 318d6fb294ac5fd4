//! `GET /v1/jobs/export`: the link with a ticket, and the file that it leads to.

mod link;
mod stream;
