//! One program for all targets, because each would link DataFusion anew. `FUZZ_TARGET` says which it is; `make fuzz`
//! runs one after the other.

#![no_main]

mod landed;
mod model;
mod project;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    match std::env::var("FUZZ_TARGET").as_deref() {
        Ok("csv") => landed::csv(input),
        Ok("ndjson") => landed::ndjson(input),
        Ok("contract") => project::contract(input),
        Ok("project") => project::project(input),
        Ok("model") => model::model(input),
        other => panic!("FUZZ_TARGET names no target: {other:?}"),
    }
});
