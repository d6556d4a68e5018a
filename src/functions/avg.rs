//! `avg` of decimals, rounded.
//!
//! DataFusion 55.2 gives four places more than the values have, and cuts what comes after them: the mean of 1, 2 and 2 is
//! 1.6666. Here the last place is rounded, half away from zero, as `round` does. To round it, DataFusion is asked for one
//! place more. Names, types and the means of everything else are those of DataFusion.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, Field, FieldRef, i256,
};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, internal_err};
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, ReversedUDAF, Signature,
    StatisticsArgs,
};

/// Returns the function.
pub(super) fn avg() -> AggregateUDF {
    AggregateUDF::from(Avg { engine: avg_udaf().as_ref().clone() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Avg {
    /// DataFusion's.
    engine: AggregateUDF,
}

/// How the mean of decimals is asked for.
#[derive(Debug, Clone)]
struct Asked {
    /// The type in which values are given: wider than their own where one place more would not fit into it.
    values: DataType,
    /// The type of the mean with one place more.
    mean: DataType,
    /// The digits and places of the result.
    digits: u8,
    scale: i8,
}

impl Asked {
    fn of(values: &DataType, result: &DataType) -> Option<Self> {
        let (&DataType::Decimal128(given, given_scale), &DataType::Decimal128(digits, scale)) = (values, result) else {
            return None;
        };
        let (values, mean) = if digits < DECIMAL128_MAX_PRECISION {
            (values.clone(), DataType::Decimal128(digits + 1, scale + 1))
        } else {
            (DataType::Decimal256(given, given_scale), DataType::Decimal256(digits + 1, scale + 1))
        };
        Some(Self { values, mean, digits, scale })
    }

    fn of_call(args: &AccumulatorArgs) -> Option<Self> {
        Self::of(args.expr_fields.first()?.data_type(), args.return_type())
    }

    /// Returns the field of the values, and that of the mean.
    fn fields(&self, args: &AccumulatorArgs) -> ([FieldRef; 1], FieldRef) {
        let values = Field::new("value", self.values.clone(), true);
        let mean = args.return_field.as_ref().clone().with_data_type(self.mean.clone());
        ([Arc::new(values)], Arc::new(mean))
    }

    fn given(&self, values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        Ok(vec![if *values[0].data_type() == self.values {
            Arc::clone(&values[0])
        } else {
            cast(&values[0], &self.values)?
        }])
    }

    /// Returns means with one place less.
    fn rounded(&self, means: &dyn Array) -> Result<Decimal128Array> {
        let wide: Vec<Option<i256>> = match means.data_type() {
            DataType::Decimal128(..) => {
                means.as_primitive::<Decimal128Type>().iter().map(|mean| mean.map(i256::from_i128)).collect()
            }
            DataType::Decimal256(..) => means.as_primitive::<Decimal256Type>().iter().collect(),
            other => return internal_err!("`avg` gives no {other} here"),
        };
        let most = 10_i128.pow(u32::from(self.digits)) - 1;
        let rounded = wide.into_iter().map(|mean| {
            let Some(mean) = mean else { return Ok(None) };
            let five = i256::from_i128(if mean.is_negative() { -5 } else { 5 });
            let rounded = mean.wrapping_add(five).wrapping_div(i256::from_i128(10)).to_i128();
            match rounded.filter(|rounded| (-most..=most).contains(rounded)) {
                Some(rounded) => Ok(Some(rounded)),
                None => Err(exec_datafusion_err!("decimal overflow in `avg`: the mean has more than 38 digits")),
            }
        });
        let rounded: Decimal128Array = rounded.collect::<Result<_>>()?;
        Ok(rounded.with_precision_and_scale(self.digits, self.scale)?)
    }
}

impl AggregateUDFImpl for Avg {
    fn name(&self) -> &'static str {
        "avg"
    }

    fn aliases(&self) -> &[String] {
        self.engine.aliases()
    }

    fn signature(&self) -> &Signature {
        self.engine.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.engine.return_type(arguments)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.engine.coerce_types(given)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let [value, ..] = args.input_fields else { return internal_err!("`avg` was given no value") };
        match Asked::of(value.data_type(), args.return_type()) {
            Some(asked) => {
                let values: [FieldRef; 1] = [Arc::new(Field::new(value.name(), asked.values, value.is_nullable()))];
                self.engine.state_fields(StateFieldsArgs { input_fields: &values, ..args })
            }
            None => self.engine.state_fields(args),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let Some(asked) = Asked::of_call(&args) else { return self.engine.accumulator(args) };
        let (values, mean) = asked.fields(&args);
        let engine = self.engine.accumulator(AccumulatorArgs { return_field: mean, expr_fields: &values, ..args })?;
        Ok(Box::new(Mean { engine, asked }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.engine.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let Some(asked) = Asked::of_call(&args) else { return self.engine.create_groups_accumulator(args) };
        let (values, mean) = asked.fields(&args);
        let engine = self.engine.create_groups_accumulator(AccumulatorArgs {
            return_field: mean,
            expr_fields: &values,
            ..args
        })?;
        Ok(Box::new(Means { engine, asked }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.engine.order_sensitivity()
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs) -> Option<ScalarValue> {
        self.engine.value_from_stats(statistics)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.engine.documentation()
    }
}

/// The mean of all values, or of those in a frame.
#[derive(Debug)]
struct Mean {
    engine: Box<dyn Accumulator>,
    asked: Asked,
}

impl Accumulator for Mean {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.engine.update_batch(&self.asked.given(values)?)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.engine.retract_batch(&self.asked.given(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.engine.supports_retract_batch()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.engine.merge_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.engine.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mean = self.engine.evaluate()?.to_array()?;
        ScalarValue::try_from_array(&self.asked.rounded(&mean)?, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.engine.size()
    }
}

/// The means of groups.
struct Means {
    engine: Box<dyn GroupsAccumulator>,
    asked: Asked,
}

impl GroupsAccumulator for Means {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.engine.update_batch(&self.asked.given(values)?, group_indices, opt_filter, total_num_groups)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.engine.merge_batch(values, group_indices, total_num_groups)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.engine.state(emit_to)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let means = self.engine.evaluate(emit_to)?;
        Ok(Arc::new(self.asked.rounded(&means)?))
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.engine.convert_to_state(&self.asked.given(values)?, opt_filter)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.engine.size()
    }
}
