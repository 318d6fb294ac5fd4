//! Attribute values, and changes of them.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::AttributeValue;

/// A text.
#[expect(clippy::needless_pass_by_value, reason = "takes ids, names and literals alike")]
pub(crate) fn s(text: impl ToString) -> AttributeValue {
    AttributeValue::S(text.to_string())
}

/// A number.
#[expect(clippy::needless_pass_by_value, reason = "takes numbers and references to them alike")]
pub(crate) fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// Sets these attributes, and removes those that shall have no value. Each is called in the plan as it is: `#name`, `:name`.
pub(crate) fn changing(
    mut plan: UpdateItemInputBuilder,
    changed: Vec<(&str, Option<AttributeValue>)>,
) -> UpdateItemInputBuilder {
    let (mut set, mut remove) = (Vec::new(), Vec::new());
    for (name, value) in changed {
        plan = plan.expression_attribute_names(format!("#{name}"), name);
        match value {
            Some(value) => {
                set.push(format!("#{name} = :{name}"));
                plan = plan.expression_attribute_values(format!(":{name}"), value);
            }
            None => remove.push(format!("#{name}")),
        }
    }
    let clauses = [("SET", set), ("REMOVE", remove)].into_iter().filter(|(_, terms)| !terms.is_empty());
    let clauses = clauses.map(|(word, terms)| format!("{word} {}", terms.join(", ")));
    plan.update_expression(clauses.collect::<Vec<_>>().join(" "))
}
