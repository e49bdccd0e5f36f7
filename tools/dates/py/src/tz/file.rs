//! `tzfile`: a zone of the IANA database.

use naja_dates::rrule::{Moment, SECONDS_PER_DAY, civil};
use naja_dates::zone::{PosixRule, TimeType, TzifData, Zone, ZoneError};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBytes, PyDateAccess, PyDateTime, PyDelta, PyDict, PyList, PyString, PyTimeAccess, PyTuple,
};

use super::base::ZoneBase;
use super::{enfold, in_zone};
use crate::parse::noted;
use crate::rrule::{second_of_day, wall_moment};

/// 1970-01-01T00:00 as a [`Moment`].
const EPOCH: Moment = 719_163 * SECONDS_PER_DAY;
/// One day after the last: 10000-01-01T00:00.
const END: Moment = 3_652_060 * SECONDS_PER_DAY;

/// The contents of a pickle: type indices, transitions, and of each type offset, whether it is DST, and abbreviation;
/// the rule.
type Pickled = (Vec<i64>, Vec<i64>, Vec<i32>, Vec<i64>, Vec<String>, Option<Vec<u8>>);

fn value_error(error: ZoneError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// One offset of a zone.
#[pyclass(name = "_ttinfo", module = "naja.dateutil.tz._tzfile", frozen)]
pub(super) struct TtInfo {
    #[pyo3(get)]
    utcoff: Py<PyDelta>,
    #[pyo3(get)]
    dstoff: Py<PyDelta>,
    #[pyo3(get)]
    tzname: Py<PyString>,
}

#[pymethods]
impl TtInfo {
    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Self>() else { return Ok(false) };
        let other = other.get();
        Ok(self.utcoff.bind(py).eq(&other.utcoff)?
            && self.dstoff.bind(py).eq(&other.dstoff)?
            && self.tzname.bind(py).as_any().eq(other.tzname.bind(py))?)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        format!("_ttinfo({}, {}, {})", self.utcoff.bind(py), self.dstoff.bind(py), self.tzname.bind(py))
    }
}

/// The rule for times after a zone's last transition.
#[pyclass(name = "_TZStr", module = "naja.dateutil.tz._tzfile", frozen)]
pub(super) struct TzStr {
    #[pyo3(get)]
    std: Py<TtInfo>,
    #[pyo3(get)]
    dst: Py<TtInfo>,
    rule: PosixRule,
}

#[pymethods]
impl TzStr {
    /// The wall clocks at which daylight saving time begins and ends, in seconds since 1970.
    fn transitions(&self, year: i64) -> (i64, i64) {
        self.rule.changes(year)
    }
}

/// A zone, read from a TZif file.
#[pyclass(name = "tzfile", module = "naja.dateutil.tz._tzfile", extends = ZoneBase, subclass, frozen)]
pub(super) struct TzFile {
    loaded: PyOnceLock<Loaded>,
}

struct Loaded {
    zone: Zone,
    data: TzifData,
    /// As [`Zone::infos`].
    infos: Vec<Py<TtInfo>>,
    filename: Py<PyAny>,
    key: Py<PyAny>,
}

impl Loaded {
    fn new(py: Python<'_>, data: TzifData, filename: Py<PyAny>, key: Py<PyAny>) -> PyResult<Self> {
        let zone = Zone::new(&data).map_err(value_error)?;
        let delta = |seconds: i32| PyDelta::new(py, 0, seconds, 0, true).map(Bound::unbind);
        let infos = zone
            .infos()
            .iter()
            .map(|info| {
                let utcoff = delta(info.offset_s)?;
                let dstoff = delta(info.daylight_s)?;
                let tzname = PyString::intern(py, &info.abbreviation).unbind();
                Py::new(py, TtInfo { utcoff, dstoff, tzname })
            })
            .collect::<PyResult<_>>()?;
        Ok(Self { zone, data, infos, filename, key })
    }

    /// The offset that `dt` has; for `None`, that of a zone which never changes.
    fn info(&self, dt: &Bound<'_, PyAny>) -> PyResult<Option<&TtInfo>> {
        let Ok(datetime) = dt.cast::<PyDateTime>() else {
            if dt.is_none() {
                return Ok(self.zone.always().map(|index| self.infos[index].get()));
            }
            // Anything else fails as it does where the attributes of a datetime are missing.
            for name in ["toordinal", "hour"] {
                dt.getattr(name)?;
            }
            return Err(PyTypeError::new_err(format!("a tzfile needs a datetime, not {}", dt.get_type())));
        };
        let year = i64::from(datetime.get_year());
        let index = self.zone.at_wall(wall_moment(datetime) - EPOCH, year, datetime.get_fold());
        Ok(Some(self.infos[index].get()))
    }

    fn offset_s(&self, index: usize) -> i32 {
        self.zone.infos()[index].offset_s
    }

    /// Offsets at both readings of `dt`'s wall clock.
    fn both(&self, datetime: &Bound<'_, PyDateTime>) -> (i32, i32) {
        let (wall, year) = (wall_moment(datetime) - EPOCH, i64::from(datetime.get_year()));
        (
            self.offset_s(self.zone.at_wall(wall, year, false)),
            self.offset_s(self.zone.at_wall(wall, year, true)),
        )
    }

    fn same(&self, other: &Self) -> bool {
        fn info(loaded: &Loaded, index: usize) -> &naja_dates::zone::Info {
            &loaded.zone.infos()[index]
        }
        let after = |loaded: &Self| {
            let (standard, rule) = loaded.zone.after();
            let rule = rule.map(|(daylight, rule)| (info(loaded, daylight).clone(), rule.clone()));
            (info(loaded, standard).clone(), rule)
        };
        self.data.transitions_s == other.data.transitions_s
            && info(self, self.zone.before()) == info(other, other.zone.before())
            && self
                .zone
                .after_each()
                .map(|index| info(self, index))
                .eq(other.zone.after_each().map(|index| info(other, index)))
            && after(self) == after(other)
    }
}

impl TzFile {
    fn loaded(&self, py: Python<'_>) -> PyResult<&Loaded> {
        self.loaded.get(py).ok_or_else(|| PyTypeError::new_err("tzfile.__init__ was not called"))
    }
}

/// Reads a zone from a stream and leaves the stream where the zone ends, if it can be put there.
fn read_stream(stream: &Bound<'_, PyAny>) -> PyResult<TzifData> {
    let seekable = stream.call_method0("seekable").and_then(|seekable| seekable.is_truthy()).unwrap_or(false);
    let start = if seekable { stream.call_method0("tell").ok() } else { None };
    let bytes = stream.call_method0("read")?;
    let bytes =
        bytes.cast::<PyBytes>().map_err(|_| PyTypeError::new_err("a tzfile is read from a binary stream"))?;
    let (data, used) = TzifData::read(bytes.as_bytes()).map_err(value_error)?;
    if let Some(start) = start {
        stream.call_method1("seek", (start.add(used)?,))?;
    }
    Ok(data)
}

#[pymethods]
impl TzFile {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(ZoneBase).add_subclass(Self { loaded: PyOnceLock::new() })
    }

    /// `fileobj` is a path or a binary stream; `filename` says where a stream comes from.
    #[pyo3(signature = (fileobj, filename=None, key=None))]
    fn __init__<'py>(
        &self,
        fileobj: &Bound<'py, PyAny>,
        filename: Option<Bound<'py, PyAny>>,
        key: Option<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let py = fileobj.py();
        let (data, name) = if fileobj.is_instance_of::<PyString>() {
            let stream = py.import("io")?.getattr("open")?.call1((fileobj, "rb"))?;
            let data = read_stream(&stream);
            stream.call_method0("close")?;
            (data, fileobj.clone())
        } else {
            let data = read_stream(fileobj);
            let name = match filename {
                Some(name) if name.is_truthy()? => name,
                _ => match fileobj.getattr_opt("name")? {
                    Some(name) => name,
                    None if key.is_some() => py.None().into_bound(py),
                    None => fileobj.repr()?.into_any(),
                },
            };
            (data, name)
        };
        let data = data.map_err(|error| noted(py, error, Some(format!("in {name}"))))?;
        let key = key.map_or_else(|| py.None(), Bound::unbind);
        let loaded = Loaded::new(py, data, name.unbind(), key)?;
        // The second of two calls changes nothing: a zone never changes.
        let _ = self.loaded.set(py, loaded);
        Ok(())
    }

    fn utcoffset(&self, dt: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyDelta>>> {
        let py = dt.py();
        Ok(self.loaded(py)?.info(dt)?.map(|info| info.utcoff.clone_ref(py)))
    }

    fn dst(&self, dt: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyDelta>>> {
        let py = dt.py();
        Ok(self.loaded(py)?.info(dt)?.map(|info| info.dstoff.clone_ref(py)))
    }

    fn tzname(&self, dt: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyString>>> {
        let py = dt.py();
        Ok(self.loaded(py)?.info(dt)?.map(|info| info.tzname.clone_ref(py)))
    }

    /// Whether a wall clock shows `dt` twice.
    fn is_ambiguous(&self, dt: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let Some(dt) = dt else { return Ok(false) };
        let (first, second) = self.loaded(dt.py())?.both(dt.cast()?);
        Ok(first > second)
    }

    /// Whether a wall clock shows `dt` twice or never.
    fn _is_ambiguous_or_imaginary(&self, dt: &Bound<'_, PyAny>) -> PyResult<bool> {
        let (first, second) = self.loaded(dt.py())?.both(dt.cast()?);
        Ok(first != second)
    }

    fn fromutc<'py>(slf: &Bound<'py, Self>, dt: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let datetime = in_zone(slf.as_any(), dt)?;
        let loaded = slf.get().loaded(py)?;
        let utc = wall_moment(datetime);
        let (index, fold) = loaded.zone.at(utc - EPOCH, i64::from(datetime.get_year()));
        if !datetime.is_exact_instance_of::<PyDateTime>() {
            let wall = datetime.as_any().add(&loaded.infos[index].get().utcoff)?;
            return enfold(&wall, fold.into());
        }
        let (mut year, mut month, mut day) = (datetime.get_year(), datetime.get_month(), datetime.get_day());
        let mut second_of_day = second_of_day(datetime) + i64::from(loaded.offset_s(index));
        if !(0..SECONDS_PER_DAY).contains(&second_of_day) {
            let wall = utc + i64::from(loaded.offset_s(index));
            if !(SECONDS_PER_DAY..END).contains(&wall) {
                return Err(PyOverflowError::new_err("date value out of range"));
            }
            let civil = civil(wall);
            (year, month, day) = (civil.year as i32, civil.month, civil.day);
            second_of_day = wall % SECONDS_PER_DAY;
        }
        let second_of_day = second_of_day as u32;
        let (hour, minute, second) =
            ((second_of_day / 3600) as u8, (second_of_day / 60 % 60) as u8, (second_of_day % 60) as u8);
        let microsecond = datetime.get_microsecond();
        let zone = slf.as_super().as_super();
        PyDateTime::new_with_fold(py, year, month, day, hour, minute, second, microsecond, Some(zone), fold)
            .map(Bound::into_any)
    }

    fn __eq__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let Ok(other) = other.cast::<Self>() else { return Ok(py.NotImplemented()) };
        let same = slf.get().loaded(py)?.same(other.get().loaded(py)?);
        Ok(pyo3::types::PyBool::new(py, same).to_owned().into_any().unbind())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let py = slf.py();
        let loaded = slf.get().loaded(py)?;
        let name = if loaded.filename.is_none(py) { &loaded.key } else { &loaded.filename };
        Ok(format!("{}({})", slf.get_type().name()?, name.bind(py).repr()?))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let loaded = slf.get().loaded(py)?;
        let data = &loaded.data;
        let offsets = PyList::new(py, data.types.iter().map(|kind| kind.offset_s))?;
        let names = PyList::new(py, data.types.iter().map(|kind| kind.abbreviation.as_str()))?;
        let contents = (
            PyTuple::new(py, &data.type_indices)?,
            PyTuple::new(py, &data.transitions_s)?,
            offsets,
            PyTuple::new(py, data.types.iter().map(|kind| u8::from(kind.is_dst)))?,
            names,
            PyBytes::new(py, &data.rule),
        );
        let arguments = (slf.get_type(), loaded.key.bind(py), loaded.filename.bind(py), contents);
        let function = py.import("naja.dateutil.tz._tzfile")?.getattr("_unpickle")?;
        let arguments = arguments.into_pyobject(py)?.into_any();
        let own = slf.getattr("__dict__")?;
        if own.is_truthy()? {
            PyTuple::new(py, [function, arguments, own])
        } else {
            PyTuple::new(py, [function, arguments])
        }
    }

    fn __reduce_ex__<'py>(slf: &Bound<'py, Self>, _protocol: i64) -> PyResult<Bound<'py, PyTuple>> {
        Ok(slf.call_method0("__reduce__")?.cast_into()?)
    }

    /// Sets an instance that `__new__` made to what its pickle holds.
    fn _load(&self, py: Python<'_>, key: Py<PyAny>, filename: Py<PyAny>, data: Pickled) -> PyResult<()> {
        let (indices, transitions_s, offsets, is_dst, names, rule) = data;
        let narrow =
            |index: i64| u8::try_from(index).map_err(|_| PyValueError::new_err("invalid pickle of a tzfile"));
        let kinds = offsets.into_iter().zip(is_dst).zip(names);
        let data = TzifData {
            type_indices: indices.into_iter().map(narrow).collect::<PyResult<_>>()?,
            transitions_s,
            types: kinds
                .map(|((offset_s, is_dst), abbreviation)| TimeType {
                    offset_s,
                    is_dst: is_dst != 0,
                    abbreviation,
                })
                .collect(),
            rule: rule.unwrap_or_default(),
        };
        if data.type_indices.len() != data.transitions_s.len() {
            return Err(PyValueError::new_err("invalid pickle of a tzfile"));
        }
        let _ = self.loaded.set(py, Loaded::new(py, data, filename, key)?);
        Ok(())
    }

    /// The IANA key that the zone was asked for by, or `None`.
    #[getter]
    fn key(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.loaded(py)?.key.clone_ref(py))
    }

    #[getter(_key)]
    fn shown_key(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.key(py)
    }

    #[getter(_filename)]
    fn filename(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.loaded(py)?.filename.clone_ref(py))
    }

    #[getter(_trans_utc)]
    fn trans_utc<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.loaded(py)?.data.transitions_s)
    }

    #[getter(_trans_idx)]
    fn trans_idx<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.loaded(py)?.data.type_indices)
    }

    #[getter(_trans_local)]
    fn trans_local<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.loaded(py)?.zone.walls_s().map(|walls| walls.to_vec()))
    }

    #[getter(_isdst)]
    fn isdst<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.loaded(py)?.data.types.iter().map(|kind| u8::from(kind.is_dst)))
    }

    #[getter(_ttinfos)]
    fn ttinfos<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let loaded = self.loaded(py)?;
        PyList::new(py, loaded.zone.after_each().map(|index| loaded.infos[index].clone_ref(py)))
    }

    #[getter(_tti_before)]
    fn tti_before(&self, py: Python<'_>) -> PyResult<Py<TtInfo>> {
        let loaded = self.loaded(py)?;
        Ok(loaded.infos[loaded.zone.before()].clone_ref(py))
    }

    #[getter(_tz_str)]
    fn tz_str<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.loaded(py)?.data.rule))
    }

    #[getter(_tz_after)]
    fn tz_after(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let loaded = self.loaded(py)?;
        let info = |index: usize| loaded.infos[index].clone_ref(py);
        match loaded.zone.after() {
            (standard, None) => Ok(info(standard).into_any()),
            (standard, Some((daylight, rule))) => {
                let after = TzStr { std: info(standard), dst: info(daylight), rule: rule.clone() };
                Ok(Py::new(py, after)?.into_any())
            }
        }
    }

    #[getter(_fixed_offset)]
    fn fixed_offset(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.loaded(py)?.zone.always().is_some())
    }
}
