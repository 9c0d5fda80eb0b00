//! The command line (in the making).
