#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rcluster_fuzz::claims::run(data));
