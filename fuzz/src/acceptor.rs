//! The acceptor, without its thread and with a clock and failures of the model's (src/acceptor/model.rs): whatever happens, each
//! connection ends up with one worker, once, and nobody spins.

pub fn run(data: &[u8]) {
    rcluster::acceptor::model::run(data);
}
