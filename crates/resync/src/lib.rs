//! Comparing two disks and making one equal to the other.
