//! The calls of a [`crate::Sink`], written once for all that take them in the same way.

/// Makes a type a sink by one of its fields that is one; before each call the method is called that is named last.
macro_rules! forward_sink {
    ($type:ty, $field:ident $(, $first:ident)?) => {
        impl $crate::Sink for $type {
            $crate::sink_calls::forward_calls! { ($field $(, $first)?)
                null();
                boolean(value: bool);
                integer(value: i64);
                unsigned(value: u64);
                real(value: f64);
                decimal(digits: &str);
                text(text: &str);
                json(text: &str);
                bytes(bytes: &[u8]);
                date(year: i32, month: u8, day: u8);
                time(hour: u8, minute: u8, second: u8, microsecond: u32, offset_s: Option<i32>);
                moment(microseconds: i64, offset_s: Option<i32>);
                interval(months: i32, days: i32, microseconds: i64);
                uuid(bytes: [u8; 16]);
                array(length: usize);
                infinite(positive: bool);
            }
        }
    };
}

macro_rules! forward_calls {
    ($to:tt $($name:ident($($argument:ident: $kind:ty),*);)*) => {
        $($crate::sink_calls::forward_calls! { @one $to $name($($argument: $kind),*) })*
    };
    (@one ($field:ident $(, $first:ident)?) $name:ident($($argument:ident: $kind:ty),*)) => {
        fn $name(&mut self, $($argument: $kind),*) {
            $(self.$first();)?
            self.$field.$name($($argument),*);
        }
    };
}

/// The calls of a sink that takes all of them as a [`crate::Value`], by its methods `take_value` and `begin_array`.
macro_rules! calls_as_values {
    () => {
        fn null(&mut self) {
            self.take_value($crate::Value::Null);
        }

        fn boolean(&mut self, value: bool) {
            self.take_value($crate::Value::Boolean(value));
        }

        fn integer(&mut self, value: i64) {
            self.take_value($crate::Value::Integer(value));
        }

        fn real(&mut self, value: f64) {
            self.take_value($crate::Value::Real(value));
        }

        fn decimal(&mut self, digits: &str) {
            self.take_value($crate::Value::Decimal(digits.into()));
        }

        fn text(&mut self, text: &str) {
            self.take_value($crate::Value::Text(text.into()));
        }

        fn json(&mut self, text: &str) {
            self.take_value($crate::Value::Json(text.into()));
        }

        fn bytes(&mut self, bytes: &[u8]) {
            self.take_value($crate::Value::Bytes(bytes.into()));
        }

        fn date(&mut self, year: i32, month: u8, day: u8) {
            self.take_value($crate::Value::Date { year, month, day });
        }

        fn time(&mut self, hour: u8, minute: u8, second: u8, microsecond: u32, offset_s: Option<i32>) {
            self.take_value($crate::Value::Time { hour, minute, second, microsecond, offset_s });
        }

        fn moment(&mut self, microseconds: i64, offset_s: Option<i32>) {
            self.take_value($crate::Value::Moment { microseconds, offset_s });
        }

        fn interval(&mut self, months: i32, days: i32, microseconds: i64) {
            self.take_value($crate::Value::Interval { months, days, microseconds });
        }

        fn uuid(&mut self, bytes: [u8; 16]) {
            self.take_value($crate::Value::Uuid(bytes));
        }

        fn array(&mut self, length: usize) {
            if length == 0 {
                self.take_value($crate::Value::Array(Vec::new()));
            } else {
                self.begin_array(length);
            }
        }

        fn infinite(&mut self, positive: bool) {
            self.take_value($crate::Value::Infinite { positive });
        }
    };
}

pub(crate) use {calls_as_values, forward_calls, forward_sink};
