//! One file a function, named like it.

mod health;
