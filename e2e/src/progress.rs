//! Says what is being done, how far it is, and how long it took last time.
