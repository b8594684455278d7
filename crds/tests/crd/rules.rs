use std::{collections::BTreeSet, sync::LazyLock};

use kube::core::cel::{ValidationError, ValidationErrors, Validator, compile_schema};
use serde_json::Value;

use crate::{
    cel::{Case, Row, without_index},
    schema::{properties, schema},
};

/// What the rules say about a case.
struct Said {
    table: &'static str,
    case: Case,
    errors: Vec<ValidationError>,
}

/// Of each case that the rules, and not the schema alone, decide. Made once: to compile the schema takes longer than all else.
static SAID: LazyLock<Vec<Said>> = LazyLock::new(|| {
    let (schema, validator) = (compile_schema(&schema()), Validator::new());
    let decided = Case::all().into_iter().filter(|(_, case)| !case.by_schema);
    decided
        .map(|(table, case)| {
            let validated = validator.validate_compiled(&schema, &case.platform(), case.old().as_ref());
            Said { table, case, errors: validated.err().map(ValidationErrors::into_vec).unwrap_or_default() }
        })
        .collect()
});

#[test]
fn the_rules_take_and_refuse_what_the_tables_say() {
    for Said { table, case, errors } in SAID.iter() {
        let mut said = errors.iter().map(|error| (error.field_path.as_str(), error.message.as_str()));
        match case.refused {
            Some(_) => assert!(case.is_refused_by(said), "{table}, {}: {errors:?}", case.what),
            None => assert_eq!(said.next(), None, "{table}, {}", case.what),
        }
    }
}

/// A rule that no case meets could as well be wrong, or be missing, and one that takes nothing would be no use.
#[test]
fn every_rule_refuses_a_case_and_takes_one_at_each_field_that_it_holds_for() {
    let rules = rules();
    assert!(rules.len() > 100, "only {} rules were found", rules.len());
    let mut wanting = Vec::new();
    for Rule { field, says, expression } in rules {
        let is_meant = |error: &ValidationError| error.rule == expression && without_index(&error.field_path) == field;
        let (mut refused, mut taken) = (false, false);
        for Said { case, errors, .. } in SAID.iter() {
            let looked_at = case.has(&field) && (case.old().is_some() || !expression.contains("oldSelf"));
            refused |= case.refused.is_some() && errors.iter().any(is_meant);
            taken |= case.refused.is_none() && looked_at;
        }
        if !(refused && taken) {
            wanting.push(format!("{field}: {says}: {expression} (refused a case: {refused}, took one: {taken})"));
        }
    }
    assert!(wanting.is_empty(), "{}", wanting.join("\n"));
}

/// So that no rule goes from one of several fields without anybody's notice.
#[test]
fn each_rule_about_a_field_holds_for_the_fields_that_the_table_says() {
    let in_table =
        Row::read().into_iter().flat_map(|row| row.fields().map(|field| (field, row.says.clone())).collect::<Vec<_>>());
    let in_table: BTreeSet<_> = in_table.collect();
    let of_fields = rules().into_iter().filter(|rule| !["", "spec"].contains(&rule.field.as_str()));
    let in_schema: BTreeSet<_> = of_fields.map(|rule| (rule.field, rule.says)).collect();
    let only_in =
        |one: &BTreeSet<_>, other: &BTreeSet<_>| one.difference(other).cloned().collect::<Vec<(String, String)>>();
    assert_eq!((only_in(&in_table, &in_schema), only_in(&in_schema, &in_table)), (vec![], vec![]), "table, schema");
}

/// A rule of the schema.
struct Rule {
    /// Where it holds; empty for the whole resource.
    field: String,
    /// Its message.
    says: String,
    /// In CEL.
    expression: String,
}

/// All of them, each as often as there are fields that it holds for.
fn rules() -> Vec<Rule> {
    let (schema, text) = (schema(), |value: &Value| value.as_str().unwrap_or_default().to_owned());
    let mut all = properties(&schema);
    all.push((String::new(), schema));
    let of = |(field, schema): &(String, Value)| {
        let rules = schema["x-kubernetes-validations"].as_array().cloned().unwrap_or_default();
        let rule =
            |rule: &Value| Rule { field: field.clone(), says: text(&rule["message"]), expression: text(&rule["rule"]) };
        rules.iter().map(rule).collect::<Vec<_>>()
    };
    all.iter().flat_map(of).collect()
}
