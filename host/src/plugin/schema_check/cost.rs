//! What checking a value against a schema may cost, found out before any value comes: the host pays for it, where no
//! budget of a guest applies.

use std::collections::HashMap;

use serde_json::Value;

use super::JSON_DEPTH;

/// Most steps that checking a value may take on the way from its root to any one place in it. An honest schema takes a
/// few dozen; one that refers to itself twice at every level would take a worker for good.
const STEPS: usize = 10_000;

/// Longest chain of schemas on the way from the root of a value to its deepest level.
const CHAIN: usize = 400;

/// Most work to count the steps of one schema.
const WORK: usize = 1_000_000;

/// Refuses a schema that would take too long to check values with.
///
/// # Errors
/// What it refers to too often.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    References { root: schema, counted: HashMap::new(), depth: 0, work: 0 }.check(schema)
}

/// Refuses references that lead in a circle without going deeper into the value, or to too many others: both would
/// never end, or as good as never, when a value is checked.
struct References<'s> {
    root: &'s Value,
    /// Steps of each schema that is referred to, for a value that has so many levels below; none while being counted.
    counted: HashMap<(&'s str, usize), Option<usize>>,
    depth: usize,
    work: usize,
}

impl<'s> References<'s> {
    /// Counts from everywhere in a schema, as if a value went to the deepest level that JSON may have.
    fn check(&mut self, schema: &'s Value) -> Result<(), String> {
        self.steps(schema, JSON_DEPTH)?;
        match schema {
            Value::Object(members) => members.values().try_for_each(|member| self.check(member)),
            Value::Array(elements) => elements.iter().try_for_each(|element| self.check(element)),
            _ => Ok(()),
        }
    }

    /// The steps for one place of a value and the costliest way down from it.
    fn steps(&mut self, schema: &'s Value, levels: usize) -> Result<usize, String> {
        let Value::Object(members) = schema else { return Ok(1) };
        self.depth += 1;
        self.work += 1;
        if self.depth > CHAIN || self.work > WORK {
            return Err("the schema refers to too many others, or too deep".to_owned());
        }
        let mut steps = 1_usize;
        for (name, member) in members {
            let more = match (name.as_str(), member) {
                ("$ref", Value::String(reference)) => self.behind(reference, levels)?,
                (
                    "$id" | "$anchor" | "$dynamicRef" | "$dynamicAnchor" | "$recursiveRef",
                    Value::String(_),
                ) => {
                    return Err(format!(
                        "the schema uses `{name}`, which is not supported: use `$ref` alone"
                    ));
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(branches)) => self.sum(branches.iter(), levels)?,
                ("dependentSchemas", Value::Object(branches)) => self.sum(branches.values(), levels)?,
                ("not" | "if" | "then" | "else", branch) => self.steps(branch, levels)?,
                _ if levels == 0 => 0,
                // A member has one name, so one of these applies to it.
                ("properties", Value::Object(branches)) => self.most(branches.values(), levels - 1)?,
                ("prefixItems", Value::Array(branches)) => self.most(branches.iter(), levels - 1)?,
                ("patternProperties", Value::Object(branches)) => self.sum(branches.values(), levels - 1)?,
                (
                    "items"
                    | "contains"
                    | "additionalProperties"
                    | "propertyNames"
                    | "unevaluatedItems"
                    | "unevaluatedProperties",
                    branch,
                ) => self.steps(branch, levels - 1)?,
                _ => 0,
            };
            steps = steps.saturating_add(more);
        }
        if steps > STEPS {
            return Err(format!("the schema takes more than {STEPS} steps: it refers to too many others"));
        }
        self.depth -= 1;
        Ok(steps)
    }

    fn sum(&mut self, mut branches: impl Iterator<Item = &'s Value>, levels: usize) -> Result<usize, String> {
        branches.try_fold(0_usize, |sum, branch| Ok(sum.saturating_add(self.steps(branch, levels)?)))
    }

    fn most(
        &mut self,
        mut branches: impl Iterator<Item = &'s Value>,
        levels: usize,
    ) -> Result<usize, String> {
        branches.try_fold(0_usize, |most, branch| Ok(most.max(self.steps(branch, levels)?)))
    }

    fn behind(&mut self, reference: &'s str, levels: usize) -> Result<usize, String> {
        match self.counted.get(&(reference, levels)) {
            Some(Some(steps)) => return Ok(*steps),
            Some(None) => return Err(format!("the schema goes in a circle through `{reference}`")),
            None => {}
        }
        // What is not there is found by compiling.
        let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        let Some(target) = target else { return Ok(1) };
        self.counted.insert((reference, levels), None);
        let steps = self.steps(target, levels)?;
        self.counted.insert((reference, levels), Some(steps));
        Ok(steps)
    }
}
