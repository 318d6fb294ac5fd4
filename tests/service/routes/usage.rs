//! `usage`.
