//! What an embedder can watch: the life of tasks and of the threads that run them.
