//! Cargo does not see by itself that there is a new file of migrations, which are compiled in.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
