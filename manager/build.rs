//! How the executable is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // At an address of its own, its tables of pointers are the same in all keepers, and shared: half of what each would have for itself.
    println!("cargo:rustc-link-arg-bins=-no-pie");
}
