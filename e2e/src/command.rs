//! Child processes with a limit on their time and errors that say what happened.
