//! Carts, orders and money, from outside.

mod backorders;
mod by_example;
mod coupons;
mod crash;
mod hosts;
mod linear;
mod lists;
mod lookups;
mod offers;
mod purchase;
mod refused;
mod repeats;
mod retries;
mod rules;
mod stock;
mod stripe;
mod swaps;
mod transfers;
mod unanswered;
mod webhooks;
