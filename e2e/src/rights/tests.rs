use std::collections::BTreeSet;

use super::{Release, Unneeded, audit, findings, granted};

const ACCOUNT: Release<'static> = Release { namespace: "operator", name: "todo" };

const MANIFEST: &str = r#"
kind: ClusterRole
metadata: {name: todo}
rules:
  - {apiGroups: [""], resources: [services, pods/log], verbs: [get]}
  - {apiGroups: [apps], resources: [deployments], verbs: [create, patch]}
---
kind: ClusterRoleBinding
metadata: {name: todo}
roleRef: {kind: ClusterRole, name: todo}
subjects: [{kind: ServiceAccount, name: todo, namespace: operator}]
---
kind: Role
metadata: {name: lease, namespace: operator}
rules:
  - {apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [todo], verbs: [update]}
---
kind: RoleBinding
metadata: {name: lease, namespace: operator}
roleRef: {kind: Role, name: lease}
subjects: [{kind: ServiceAccount, name: todo, namespace: operator}]
---
# Of somebody else.
kind: ClusterRole
metadata: {name: todo-edit}
rules:
  - {apiGroups: [""], resources: ["*"], verbs: ["*"]}
"#;

fn line(verb: &str, object: &str, code: u16, message: &str) -> String {
    format!(
        r#"{{"verb":"{verb}","requestURI":"/x","user":{{"username":"system:serviceaccount:operator:todo"}},"objectRef":{object},"responseStatus":{{"metadata":{{}},"code":{code},"message":"{message}"}},"stage":"ResponseComplete"}}"#
    )
}

const SERVICE: &str = r#"{"resource":"services","namespace":"a","name":"x","apiVersion":"v1"}"#;
const LOG: &str = r#"{"resource":"pods","subresource":"log","namespace":"a","name":"x"}"#;
const DEPLOYMENT: &str = r#"{"resource":"deployments","apiGroup":"apps","namespace":"a","name":"x"}"#;
const LEASE: &str = r#"{"resource":"leases","apiGroup":"coordination.k8s.io","namespace":"operator","name":"todo"}"#;

fn everything() -> Vec<String> {
    vec![
        line("get", SERVICE, 200, ""),
        line("get", LOG, 200, ""),
        line("patch", DEPLOYMENT, 201, ""),
        line("update", LEASE, 409, "somebody was faster"),
    ]
}

fn found(lines: &[String], unneeded: Option<&[Unneeded]>) -> Vec<String> {
    let granted = granted::of_manifest(MANIFEST, ACCOUNT).unwrap();
    let requests = audit::requests(&lines.join("\n"), ACCOUNT).unwrap();
    findings(&granted, &requests, unneeded)
}

#[test]
fn what_is_granted_and_used_is_in_order() {
    assert_eq!(found(&everything(), Some(&[])), Vec::<String>::new(), "an apply that was answered 201 is a creation");
}

#[test]
fn what_is_never_used_is_found_unless_it_is_said_why() {
    let without = [&everything()[1..3], &[line("patch", DEPLOYMENT, 200, "")]].concat();
    let unused = ["granted and never used: get services", "granted and never used: update leases.coordination.k8s.io"];
    assert_eq!(found(&without, Some(&[])), unused);
    assert_eq!(found(&without, None), Vec::<String>::new(), "a part of the suite cannot tell");
    let changed_only =
        [&everything()[..2], &[line("patch", DEPLOYMENT, 200, ""), line("update", LEASE, 200, "")]].concat();
    assert_eq!(found(&changed_only, Some(&[])), ["granted and never used: create deployments.apps"]);
    let excused = Unneeded { resources: &["services"], verbs: &["get"], why: "" };
    let leases = Unneeded { resources: &["leases.coordination.k8s.io"], verbs: &["update"], why: "" };
    assert_eq!(found(&without, Some(&[excused, leases])), Vec::<String>::new());
}

#[test]
fn an_excuse_that_is_none_is_found() {
    let excused = Unneeded { resources: &["services"], verbs: &["get", "list"], why: "" };
    let expected =
        ["said to be unneeded, and not granted: list services", "said to be unneeded, and used: get services"];
    assert_eq!(found(&everything(), Some(&[excused])), expected);
}

#[test]
fn what_was_refused_or_granted_by_nobody_is_found() {
    let other_lease = LEASE.replace("todo", "other");
    let nodes = r#"{"resource":"nodes"}"#;
    for (more, expected) in [
        (line("list", SERVICE, 403, "may not"), "refused: list services in a: may not"),
        (line("list", SERVICE, 200, ""), "asked for and not granted by the chart: list services in a"),
        (
            line("update", &other_lease, 200, ""),
            "asked for and not granted by the chart: update leases.coordination.k8s.io in operator",
        ),
        (line("list", nodes, 200, ""), "asked for and not granted by the chart: list nodes in all namespaces"),
        (line("get", "null", 403, "may not"), "refused: get /x in all namespaces: may not"),
    ] {
        let lines = [everything(), vec![more]].concat();
        assert_eq!(found(&lines, None), [expected]);
    }
}

#[test]
fn what_others_ask_for_and_what_anybody_may_ask_is_nothing_to_find() {
    let other = line("list", SERVICE, 200, "").replace("operator:todo", "operator:another");
    let longer = line("list", SERVICE, 200, "").replace("operator:todo", "operator:todo-2");
    let leaving = line("patch", DEPLOYMENT, 403, "forbidden: unable to create it because it is being terminated");
    let lines = [everything(), vec![other, longer, leaving, line("get", "null", 404, "")]].concat();
    assert_eq!(found(&lines, Some(&[])), Vec::<String>::new());
}

#[test]
fn a_grant_that_is_too_wide_is_found() {
    for (from, to, expected) in [
        ("[services, pods/log]", "['*']", "too wide: get *"),
        ("[services, pods/log], verbs: [get]", "[secrets], verbs: [get, list]", "too wide: list secrets"),
    ] {
        let granted = granted::of_manifest(&MANIFEST.replace(from, to), ACCOUNT).unwrap();
        assert_eq!(findings(&granted, &BTreeSet::new(), None), [expected]);
    }
    assert!(granted::of_manifest("kind: Role", ACCOUNT).is_err(), "a release that grants nothing is none of ours");
}

#[test]
fn writes_are_counted_where_they_were_made_and_by_whom_and_refused_ones_are_not() {
    let lines = [
        line("patch", DEPLOYMENT, 200, ""),
        line("patch", DEPLOYMENT, 201, ""),
        line("patch", DEPLOYMENT, 409, "somebody was faster"),
        line("get", DEPLOYMENT, 200, ""),
        line("patch", DEPLOYMENT, 200, "").replace(r#""namespace":"a""#, r#""namespace":"b""#),
        line("patch", DEPLOYMENT, 200, "").replace("operator:todo", "operator:other"),
    ];
    let right = super::Right::new("apps", "deployments", None, "patch");
    assert_eq!(audit::count(&lines.join("\n"), ACCOUNT, &right, "a").unwrap(), 2);
}
