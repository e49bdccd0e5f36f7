//! Memory of each kind, made on purpose: what `naja.memray._test` is made of, which tests of allocations need.
//!
//! What Python code asks for here is asked of the C library by this extension, as any extension would.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::sync::{Mutex, PoisonError};

use naja_system::c_blocks::{Block, Domain, Giver, Pages, PythonBlock, PythonGiver};
use pyo3::exceptions::{PyMemoryError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

fn own<T>(place: &Mutex<Option<T>>) -> std::sync::MutexGuard<'_, Option<T>> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A block at a time, from a function that is named.
#[pyclass(name = "MemoryAllocator", module = "naja.memray._test", frozen)]
struct MemoryAllocator {
    block: Mutex<Option<Block>>,
}

#[pymethods]
impl MemoryAllocator {
    #[new]
    fn new() -> MemoryAllocator {
        MemoryAllocator { block: Mutex::new(None) }
    }

    fn free(&self) -> PyResult<()> {
        let block = own(&self.block).take();
        block.map(Block::free).ok_or_else(|| PyRuntimeError::new_err("Pointer cannot be NULL"))
    }

    fn take(&self, function: &str, size: usize) -> PyResult<bool> {
        let giver = match function {
            "malloc" => Giver::Malloc,
            "calloc" => Giver::Calloc,
            "realloc" => Giver::Realloc,
            "posix_memalign" => Giver::PosixMemalign,
            "aligned_alloc" => Giver::AlignedAlloc,
            "memalign" => Giver::Memalign,
            "valloc" => Giver::Valloc,
            "pvalloc" => Giver::Pvalloc,
            other => return Err(PyValueError::new_err(format!("no function {other}"))),
        };
        let block = Block::new(giver, size);
        let has_one = block.is_some();
        *own(&self.block) = block;
        Ok(has_one)
    }

    /// In a thread that Python did not start.
    fn run_in_pthread(&self, py: Python<'_>, callback: Py<PyAny>) -> PyResult<()> {
        let thread = std::thread::spawn(move || Python::attach(|py| callback.call0(py).map(drop)));
        py.detach(|| thread.join()).unwrap_or_else(|_| Err(PyRuntimeError::new_err("the thread failed")))
    }
}

/// A block at a time of the interpreter's own allocators.
#[pyclass(name = "PymallocMemoryAllocator", module = "naja.memray._test", frozen)]
struct PymallocMemoryAllocator {
    domain: Domain,
    block: Mutex<Option<PythonBlock>>,
}

#[pymethods]
impl PymallocMemoryAllocator {
    #[new]
    fn new(domain: i64) -> PyResult<PymallocMemoryAllocator> {
        let domain = match domain {
            1 => Domain::Raw,
            2 => Domain::Mem,
            3 => Domain::Object,
            other => return Err(PyValueError::new_err(format!("{other} is not a valid PymallocDomain"))),
        };
        Ok(PymallocMemoryAllocator { domain, block: Mutex::new(None) })
    }

    fn free(&self) -> PyResult<()> {
        let block = own(&self.block).take();
        block.map(PythonBlock::free).ok_or_else(|| PyRuntimeError::new_err("Pointer cannot be NULL"))
    }

    fn malloc(&self, size: usize) -> bool {
        self.take(PythonGiver::Malloc, size)
    }

    fn calloc(&self, size: usize) -> bool {
        self.take(PythonGiver::Calloc, size)
    }

    fn realloc(&self, size: usize) -> bool {
        self.take(PythonGiver::Realloc, size)
    }
}

impl PymallocMemoryAllocator {
    fn take(&self, giver: PythonGiver, size: usize) -> bool {
        let block = PythonBlock::new(self.domain, giver, size);
        let has_one = block.is_some();
        *own(&self.block) = block;
        has_one
    }
}

/// Pages, of which parts may be given back.
#[pyclass(name = "MmapAllocator", module = "naja.memray._test", frozen)]
struct MmapAllocator {
    pages: Pages,
}

#[pymethods]
impl MmapAllocator {
    #[new]
    #[pyo3(signature = (size, address=0))]
    fn new(size: usize, address: usize) -> PyResult<MmapAllocator> {
        let pages = Pages::new(size, address).ok_or_else(|| PyMemoryError::new_err("no such pages"))?;
        Ok(MmapAllocator { pages })
    }

    #[getter]
    fn address(&self) -> usize {
        self.pages.start()
    }

    #[pyo3(signature = (length, offset=0))]
    fn munmap(&self, length: usize, offset: usize) -> PyResult<()> {
        match self.pages.unmap(offset, length) {
            true => Ok(()),
            false => Err(PyMemoryError::new_err("these pages cannot be given back")),
        }
    }
}

fn take_and_give_back(giver: Giver, size: usize) {
    if let Some(block) = Block::new(giver, size) {
        block.free();
    }
}

/// Calls back, then takes and gives back a block of its own.
#[pyfunction]
fn nested_allocation(allocator: &Bound<'_, PyAny>, size: usize) -> PyResult<()> {
    allocator.call1((size,))?;
    take_and_give_back(Giver::Valloc, size);
    Ok(())
}

#[pyfunction]
fn allocate_in_two_places(size: usize) {
    let first = place_a(size);
    let second = place_b(size);
    for block in [first, second].into_iter().flatten() {
        block.free();
    }
}

#[inline(never)]
fn place_a(size: usize) -> Option<Block> {
    Block::new(Giver::Valloc, size)
}

#[inline(never)]
fn place_b(size: usize) -> Option<Block> {
    Block::new(Giver::Valloc, size + std::hint::black_box(0))
}

/// Waits without the lock of the interpreter, and takes memory while another thread has it.
#[pyfunction]
fn allocate_without_gil_held(py: Python<'_>, wake_up_main: i32, wake_up_thread: i32) -> PyResult<()> {
    let path = |descriptor: i32| format!("/proc/self/fd/{descriptor}");
    py.detach(|| {
        OpenOptions::new().write(true).open(path(wake_up_main))?.write_all(&[0])?;
        File::open(path(wake_up_thread))?.read_exact(&mut [0])?;
        take_and_give_back(Giver::Valloc, 1234);
        Ok(())
    })
    .map_err(|error: std::io::Error| PyOSError::new_err(error.to_string()))?;
    take_and_give_back(Giver::Valloc, 4321);
    Ok(())
}

#[pyfunction]
fn function_caller(function: &Bound<'_, PyAny>) -> PyResult<()> {
    function.call0().map(drop)
}

/// A block as a C++ vector would take it; the other is one that grows by doubling.
#[pyfunction]
fn allocate_cpp_vector(size: usize) -> usize {
    take_and_give_back(Giver::Malloc, size);
    0
}

#[pyfunction]
fn fill_cpp_vector(size: usize) -> usize {
    let count = size / size_of::<i32>();
    let mut room = 0;
    let mut block: Option<Block> = None;
    while room < count {
        room = (room * 2).max(1);
        let larger = Block::new(Giver::Malloc, room * size_of::<i32>());
        if let Some(smaller) = std::mem::replace(&mut block, larger) {
            smaller.free();
        }
    }
    if let Some(block) = block {
        block.free();
    }
    count
}

/// Names the calling thread, as the system has it.
#[pyfunction]
fn set_thread_name(name: &str) -> i32 {
    naja_system::c_blocks::name_thread(name)
}

/// Ends the process in the middle, as the C library does; before that, where it is wanted, the interpreter.
#[pyfunction]
#[pyo3(signature = (py_finalize=false))]
fn exit(py_finalize: bool) {
    naja_system::c_blocks::end_process(py_finalize);
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    naja_system::c_blocks::make_room_for_pages();
    module.add_class::<MemoryAllocator>()?;
    module.add_class::<PymallocMemoryAllocator>()?;
    module.add_class::<MmapAllocator>()?;
    module.add_function(wrap_pyfunction!(nested_allocation, module)?)?;
    module.add_function(wrap_pyfunction!(allocate_in_two_places, module)?)?;
    module.add_function(wrap_pyfunction!(allocate_without_gil_held, module)?)?;
    module.add_function(wrap_pyfunction!(function_caller, module)?)?;
    module.add_function(wrap_pyfunction!(allocate_cpp_vector, module)?)?;
    module.add_function(wrap_pyfunction!(fill_cpp_vector, module)?)?;
    module.add_function(wrap_pyfunction!(set_thread_name, module)?)?;
    module.add_function(wrap_pyfunction!(exit, module)?)
}
