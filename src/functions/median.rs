//! `median` of decimals that is not cut.
//!
//! In the middle between two decimals lies one with a digit more. DataFusion 55.2 gives it in the type of the values, so
//! that the median of 8.68 and −1.43 comes out as 3.62 instead of 3.625. Here values have one digit more before they are
//! taken, and so has their median. Values that no decimal has room for then are an error. All else is DataFusion's:
//! integers become doubles, and doubles stay what they are.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL128_MAX_SCALE, DECIMAL256_MAX_PRECISION, DECIMAL256_MAX_SCALE, DataType, Field,
    FieldRef,
};
use datafusion::arrow::error::ArrowError;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_datafusion_err};
use datafusion::functions_aggregate::median::median_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, Expr, ExprSchemable, GroupsAccumulator,
    LogicalPlan, Signature, WindowFunctionDefinition,
};

const NAME: &str = "median";

/// Returns the function.
pub(super) fn median() -> AggregateUDF {
    AggregateUDF::from(Median { engine: median_udaf().as_ref().clone() })
}

/// Returns whether a query takes a median of decimals, which programs before this one cut.
pub(crate) fn is_of_decimals(plan: &LogicalPlan) -> Result<bool> {
    let mut is_found = false;
    plan.apply_with_subqueries(|node| {
        let mut schema = DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        node.apply_expressions(|expression| {
            is_found |= expression.exists(|part| {
                let arguments = match part {
                    Expr::AggregateFunction(call) if call.func.name() == NAME => &call.params.args,
                    Expr::WindowFunction(call) => match &call.fun {
                        WindowFunctionDefinition::AggregateUDF(function) if function.name() == NAME => {
                            &call.params.args
                        }
                        _ => return Ok(false),
                    },
                    _ => return Ok(false),
                };
                let kind = arguments.first().map(|value| value.get_type(&schema)).transpose()?;
                Ok(kind.is_some_and(|kind| wider(&kind).is_some()))
            })?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(is_found)
}

/// Returns the type of decimals with one digit more, as far as there are such.
fn wider(values: &DataType) -> Option<DataType> {
    match values {
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale) => {
            let (digits, scale) = ((digits + 1).min(DECIMAL128_MAX_PRECISION), (scale + 1).min(DECIMAL128_MAX_SCALE));
            Some(DataType::Decimal128(digits, scale))
        }
        DataType::Decimal256(digits, scale) => {
            let (digits, scale) = ((digits + 1).min(DECIMAL256_MAX_PRECISION), (scale + 1).min(DECIMAL256_MAX_SCALE));
            Some(DataType::Decimal256(digits, scale))
        }
        _ => None,
    }
}

/// Returns the fields of decimals with one digit more.
fn wider_fields(values: &[FieldRef]) -> Option<[FieldRef; 1]> {
    let [field] = values else { return None };
    let kind = wider(field.data_type())?;
    Some([Arc::new(Field::new(field.name(), kind, field.is_nullable()))])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Median {
    /// DataFusion's.
    engine: AggregateUDF,
}

impl AggregateUDFImpl for Median {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        self.engine.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let kind = self.engine.return_type(arguments)?;
        Ok(wider(&kind).unwrap_or(kind))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let Some(fields) = wider_fields(args.expr_fields) else { return self.engine.accumulator(args) };
        let values = Widened::of(&fields, args.name);
        let median = self.engine.accumulator(AccumulatorArgs { expr_fields: &fields, ..args })?;
        Ok(Box::new(Whole { values, median }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        match wider_fields(args.input_fields) {
            Some(fields) => self.engine.state_fields(StateFieldsArgs { input_fields: &fields, ..args }),
            None => self.engine.state_fields(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.engine.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let Some(fields) = wider_fields(args.expr_fields) else { return self.engine.create_groups_accumulator(args) };
        let values = Widened::of(&fields, args.name);
        let medians = self.engine.create_groups_accumulator(AccumulatorArgs { expr_fields: &fields, ..args })?;
        Ok(Box::new(Groups { values, medians }))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.engine.documentation()
    }
}

/// What values are made before they are taken.
#[derive(Debug)]
struct Widened {
    kind: DataType,
    name: String,
}

impl Widened {
    fn of([field]: &[FieldRef; 1], name: &str) -> Self {
        Self { kind: field.data_type().clone(), name: name.to_owned() }
    }

    fn values(&self, values: &[ArrayRef]) -> Result<[ArrayRef; 1]> {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let wide = cast_with_options(&values[0], &self.kind, &options).map_err(|error| match error {
            ArrowError::InvalidArgumentError(_) => exec_datafusion_err!(
                "decimal overflow in `{}`: a median has one digit more than its values; cast them to double",
                self.name
            ),
            other => other.into(),
        })?;
        Ok([wide])
    }
}

/// The median of all values, or of those in a frame.
#[derive(Debug)]
struct Whole {
    values: Widened,
    median: Box<dyn Accumulator>,
}

impl Accumulator for Whole {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.median.update_batch(&self.values.values(values)?)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.median.retract_batch(&self.values.values(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.median.supports_retract_batch()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.median.merge_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.median.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.median.evaluate()
    }

    fn size(&self) -> usize {
        self.median.size()
    }
}

/// The medians of groups.
struct Groups {
    values: Widened,
    medians: Box<dyn GroupsAccumulator>,
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        self.medians.update_batch(&self.values.values(values)?, group_indices, filter, groups)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], group_indices: &[usize], groups: usize) -> Result<()> {
        self.medians.merge_batch(states, group_indices, groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.medians.evaluate(emit_to)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.medians.state(emit_to)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.medians.convert_to_state(&self.values.values(values)?, filter)
    }

    fn size(&self) -> usize {
        self.medians.size()
    }
}
