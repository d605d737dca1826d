//! The HTTP front: what happens to a request before anybody looks at what it wants, and to clients that mean no good.

mod browsers;
mod negotiation;
mod slow;
mod smuggling;
