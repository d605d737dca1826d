//! What the host's own operations have in common: reading a request, and shaping the answer.
//!
//! A handler takes a [`Call`], says who may make it, takes its body as a type, calls one facade and answers. The order
//! is that of a plugin's route: token and permission are checked before the body is looked at.

mod answer;
mod body;
mod call;
mod list;
mod write;

pub(super) use answer::{accepted, created, no_content, private, shown};
pub(super) use call::Call;
pub(super) use list::{ListOf, list};
pub(super) use write::Begun;
