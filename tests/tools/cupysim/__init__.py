"""cupysim: the *stock* CuPy wheel, executed on a machine without a GPU or driver.

    from tests.tools import cupysim
    cupysim.install()                 # in a process of its own, before the first `import cupy`
    cupysim.counters.snapshot()       # launches, mallocs, transfers, synchronisations, products

CuPy's own dispatch, argument checks, type rules and copies are what runs. Underneath,
  (1) the C functions that CuPy's modules export for the runtime and the driver are pointed at `runtime.c`;
  (2) the loader is given a small cuBLAS (`blas.c`) whose products are plain loops;
  (3) every kernel that CuPy generates, and every one of our own, is compiled by g++ against `shim.h`.

Made for cupy-cuda13x 14.2.0 on x86-64 Linux with gcc and g++. With nvidia-cuda-nvrtc installed, our own kernels must
pass NVRTC too. Not simulated: sorting, device random numbers (refused), cuSOLVER, complex and half-precision
products, graphs, real concurrency, and time.

Environment: CUPYSIM_CACHE (folder for compiled kernels), CUPYSIM_GUARD=1 (an out-of-bounds access crashes),
CUPYSIM_SEED=n (permutes the threads of a block), CUPYSIM_WARN=1 (reports barriers that some threads skipped),
CUPYSIM_NO_NVRTC=1.
"""

import ctypes
import hashlib
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
CACHE = pathlib.Path(os.environ.get("CUPYSIM_CACHE", os.path.join(tempfile.gettempdir(), "cupysim-cache")))
SHIM = (HERE / "shim.h").read_text()

COMPLEX_HEADER = """#pragma once
namespace thrust { template <class T> struct complex { T re, im; }; }
using thrust::complex;
template <class T> static inline T norm(const complex<T> &x) { return x.re * x.re + x.im * x.im; }
"""
KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(')
DYNAMIC_SHARED = re.compile(r"extern\s+__shared__\s+(?:__align__\(\d+\)\s*)?([\w\s]+?)\s+(\w+)\s*\[\s*\]\s*;")
USES_BARRIERS = re.compile(r"__sync(threads|warp)|__shfl")


class Counters:
    """What CuPy asked of the device since the last `reset`; `log` lists the calls one by one."""

    NAMES = ("launch", "malloc", "h2d", "d2h", "d2d", "memset", "sync", "gemm")

    def __init__(self, library):
        self._counts = (ctypes.c_long * len(self.NAMES)).in_dll(library, "counts")
        self._library = library

    def snapshot(self):
        return dict(zip(self.NAMES, self._counts))

    def reset(self):
        for i in range(len(self.NAMES)):
            self._counts[i] = 0

    def log_start(self):
        ctypes.c_size_t.in_dll(self._library, "log_n").value = 0
        ctypes.c_int.in_dll(self._library, "log_on").value = 1

    def log_stop(self):
        ctypes.c_int.in_dll(self._library, "log_on").value = 0
        used = ctypes.c_size_t.in_dll(self._library, "log_n").value
        text = ctypes.addressof(ctypes.c_char.in_dll(self._library, "log_buf"))
        return ctypes.string_at(text, used).decode().splitlines()


counters = None  # a Counters once installed
_kept_alive = []  # Python objects that the C side points to


def install():
    """Make `import cupy` work on the CPU of this parallel. A second call does nothing."""
    global counters
    if counters is not None:
        return
    if "cupy" in sys.modules:
        raise RuntimeError("cupysim.install() must run before the first `import cupy`")
    os.environ.setdefault("CUPY_ACCELERATORS", "")  # no CUB
    CACHE.mkdir(parents=True, exist_ok=True)
    runtime = _build("runtime", (HERE / "runtime.c").read_text(), "c", ["gcc", "-O1"], ["-ldl"])
    library = ctypes.CDLL(runtime, mode=ctypes.RTLD_GLOBAL)
    _answer_runtime_calls(runtime, library)
    _provide_cublas()
    _compile_kernels_on_host()
    counters = Counters(library)


def _build(name, source, extension, command, options=()):
    """Compile `source` to a shared object, once per content; returns its path."""
    key = hashlib.sha256((source + repr((command, options)) + SHIM).encode()).hexdigest()[:20]
    built = CACHE / f"{name}-{key}.so"
    if not built.exists():
        file = CACHE / f"{name}-{key}-{os.getpid()}.{extension}"
        file.write_text(source)
        unfinished = file.with_suffix(".unfinished")
        command = [*command, "-shared", "-fPIC", "-w", "-o", str(unfinished), str(file), *options]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"cupysim: {' '.join(command)}\n{done.stderr[-4000:]}")
        os.replace(unfinished, built)
    return str(built)


def _answer_runtime_calls(path, library):
    """Point the functions that CuPy's runtime and driver modules export, for C and for Python, at ours."""
    import cupy_backends.cuda.api.driver as driver
    import cupy_backends.cuda.api.runtime as runtime

    set_pointer = ctypes.pythonapi.PyCapsule_SetPointer
    set_pointer.argtypes, set_pointer.restype = [ctypes.py_object, ctypes.c_void_p], ctypes.c_int
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.argtypes, get_name.restype = [ctypes.py_object], ctypes.c_char_p
    c_types = {
        "PyObject *": ctypes.py_object,
        "intptr_t": ctypes.c_ssize_t,
        "size_t": ctypes.c_size_t,
        "int": ctypes.c_int,
        "unsigned int": ctypes.c_uint,
        "float": ctypes.c_float,
    }
    from_python = ctypes.PyDLL(path)
    for module in (runtime, driver):
        for name, capsule in module.__pyx_capi__.items():
            ours = _find(library, name)
            if ours is None:
                continue
            set_pointer(capsule, ctypes.cast(ours, ctypes.c_void_p).value)
            result, arguments = re.match(r"(.*?)\((.*)\)$", get_name(capsule).decode()).groups()
            arguments = [a.strip() for a in arguments.split(",")]
            plain = [a for a in arguments if "skip_dispatch" not in a and "opt_args" not in a]
            if "void" in arguments or not {result.strip(), *plain} <= c_types.keys():
                continue  # called from C only
            optional = sum("opt_args" in a for a in arguments)
            function = from_python[ours.__name__]
            function.restype = c_types[result.strip()]
            function.argtypes = [c_types[a] for a in plain] + [ctypes.c_int] + [ctypes.c_void_p] * optional
            setattr(module, name, lambda *args, _f=function, _n=optional: _f(*args, 0, *[None] * _n))

    properties = {
        "name": b"cupysim",
        "major": 9,
        "minor": 0,
        "warpSize": 32,
        "multiProcessorCount": 132,
        "totalGlobalMem": 8 << 30,
        "maxThreadsPerBlock": 1024,
        "sharedMemPerBlock": 49152,
    }
    memory = (8 << 30, 8 << 30)
    for name, value in (("g_props", properties), ("g_mem", memory), ("g_pa", runtime.PointerAttributes)):
        _kept_alive.append(value)
        ctypes.c_void_p.in_dll(library, name).value = id(value)
    runtime.getDeviceProperties = lambda device: properties
    runtime.memGetInfo = lambda: memory


def _find(library, name):
    """Our function for `name`: never libc's, which the loader would find under these four names."""
    for symbol in (name + "_", name):
        if symbol not in ("malloc", "free", "memcpy", "memset") and hasattr(library, symbol):
            return library[symbol]
    return None


def _provide_cublas():
    """Load a libcublas.so.13 of our own, with a stub for every entry point that `blas.c` does not have."""
    (folder,) = importlib.util.find_spec("cupy_backends.cuda.libs").submodule_search_locations
    (binding,) = pathlib.Path(folder).glob("cublas.*.so")
    wanted = {name.decode() for name in re.findall(rb"\0(cublas[A-Z]\w+)(?=\0)", binding.read_bytes())}
    source = (HERE / "blas.c").read_text()
    present = set(re.findall(r"\b(cublas\w+)\(", source))
    present |= {f"cublas{p}{f}" for p in "SD" for f in ("gemm_v2", "gemmStridedBatched", "gemmBatched", "gemv_v2")}
    stubs = "".join(f'int {name}(void) {{ return bad("{name}"); }}\n' for name in sorted(wanted - present))
    version = CACHE / "blas.map"
    version.write_text("libcublas.so.13 { global: *; };\n")
    link = ["-Wl,-soname,libcublas.so.13", f"-Wl,--version-script={version}"]
    ctypes.CDLL(_build("blas", source + stubs, "c", ["gcc", "-O3", "-march=native"], link), mode=ctypes.RTLD_GLOBAL)


def _compile_kernels_on_host():
    """Replace CuPy's compiler by g++ and `shim.h`."""
    import cupy
    import cupy_backends.cuda.libs.cublas  # noqa: F401  (binds to our cuBLAS now)
    from cuda import pathfinder
    from cupy.cuda import compiler, function

    shim = CACHE / "shim.h"
    shim.write_text(SHIM)
    headers = CACHE / "headers"  # stand in front of CuPy's own
    (headers / "cupy").mkdir(parents=True, exist_ok=True)
    (headers / "cuda_fp16.h").write_text((HERE / "half.h").read_text())
    (headers / "cuda_bf16.h").write_text("#pragma once\n")
    (headers / "cupy" / "complex.cuh").write_text(COMPLEX_HEADER)
    nvrtc = _nvrtc()

    def compile_module(source, options=(), **ignored):
        if nvrtc is not None and "#include <cupy/carray.cuh>" not in source:  # a kernel of our own
            _check_with_nvrtc(nvrtc, source, options)
        body = DYNAMIC_SHARED.sub(r"\1* \2 = (\1*)sim::dyn;", source)
        fibers = "true" if USES_BARRIERS.search(source.split("\n", 6)[-1]) else "false"
        launchers = "".join(
            f'extern "C" void {name}__emu(const unsigned *d, size_t s, void **p)'
            f" {{ sim::launch(&{name}, {fibers}, d, s, p); }}\n"
            for name in KERNEL.findall(source)
        )
        flags = [f"-I{headers}"]
        flags += [o for o in options if o.startswith("-D") or (o.startswith("-I") and "_cccl" not in o)]
        command = ["g++", "-O1", "-std=c++17", "-ffp-contract=off"]
        path = _build("kernel", f'#include "{shim}"\n{body}\n{launchers}', "cpp", command, flags)
        module = function.Module()
        module.load(path.encode())
        module._set_mapping({})
        return module

    def refuse(*args, **kwargs):
        raise NotImplementedError("cupysim: device random numbers are not simulated (draw on the host)")

    compiler._compile_module_with_cache = compile_module
    cupy.random.default_rng = refuse
    pathfinder.find_nvidia_header_directory = lambda *args, **kwargs: str(CACHE)
    if os.environ.get("CUPYSIM_GUARD"):
        cupy.cuda.set_allocator(None)  # no pool: every array has a guard page of its own


def _nvrtc():
    """CuPy's binding of NVRTC where nvidia-cuda-nvrtc is installed, else None."""
    if os.environ.get("CUPYSIM_NO_NVRTC"):
        return None
    try:
        from cupy_backends.cuda.libs import nvrtc

        return nvrtc if nvrtc.getVersion() else None
    except Exception:  # the loader's errors differ from one CuPy to the next
        return None


def _check_with_nvrtc(nvrtc, source, options):
    program = nvrtc.createProgram(source, "user.cu", (), ())
    defines = tuple(o for o in options if o.startswith("-D"))
    try:
        nvrtc.compileProgram(program, ("--gpu-architecture=compute_75", "--std=c++17", *defines))
    except nvrtc.NVRTCError:
        raise RuntimeError("NVRTC rejects this kernel:\n" + nvrtc.getProgramLog(program)) from None
