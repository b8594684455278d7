use kube::core::cel::{Validator, compile_schema};

use crate::{
    cel::{Case, TABLES},
    schema::schema,
};

/// What the rules say about the cases of every table that they, and not the schema alone, decide.
#[test]
fn the_rules_take_and_refuse_what_the_tables_say() {
    // Once: that takes longer than all else.
    let schema = compile_schema(&schema());
    for (table, text) in TABLES {
        for case in Case::read(text).into_iter().filter(|case| !case.by_schema) {
            let validated = Validator::new().validate_compiled(&schema, &case.platform(), case.old().as_ref());
            let said = validated.err().map(|errors| errors.to_string()).unwrap_or_default();
            match &case.refused {
                Some(message) => assert!(said.contains(message), "{table}, {}: {said:?}", case.what),
                None => assert_eq!(said, "", "{table}, {}", case.what),
            }
        }
    }
}
