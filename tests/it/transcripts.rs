//! What people see: every console block of `tests/cli/` is run and compared. Those of the README and the docs are in
//! `pages.rs`.

use std::path::Path;

#[test]
fn transcripts_are_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cases = trycmd::TestCases::new();
    cases
        .env("NO_COLOR", "1")
        .env("OPSMART_LOG", "warn")
        .register_bin("opsmart", Path::new(env!("CARGO_BIN_EXE_opsmart")))
        .case(root.join("tests/cli/*.md"));
    cases.run();
}
