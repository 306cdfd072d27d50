//! The acceptor, without its thread and with a clock and failures of the model's (src/acceptor/model.rs): whatever happens, each
//! connection ends up with one worker, once, nobody spins, and nobody keeps a descriptor.

use crate::descriptors;

pub fn run(data: &[u8]) {
    let before = descriptors::count();
    rcluster::acceptor::model::run(data);
    descriptors::assert_held(before, 0, "an acceptor that is gone");
}
