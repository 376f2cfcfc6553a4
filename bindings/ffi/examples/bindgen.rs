//! Writes the foreign halves of this crate from its compiled library:
//! `bindgen generate LIBRARY --language kotlin --out-dir DIR`.

fn main() {
    uniffi::uniffi_bindgen_main();
}
