#![no_main]

#[path = "../bounded.rs"]
mod bounded;
#[path = "../input.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bounded::run(&input::HRL, data));
