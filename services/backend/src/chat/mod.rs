//! Chat
mod command;
mod when;
mod words;
