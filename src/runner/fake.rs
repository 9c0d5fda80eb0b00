//! A runner without processes, for the tests of others.
