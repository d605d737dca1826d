//! The `wares` command, from outside: a process that is started, asked, stopped and killed.

mod backup;
mod commands;
mod disk;
mod import;
mod kill;
mod migrate;
mod orders;
mod people;
mod reload_kill;
mod replay;
mod restore;
mod serve;
