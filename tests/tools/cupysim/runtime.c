/* CuPy's calls of the CUDA runtime and driver, answered on the host. __init__.py points the C functions that CuPy's
   Cython modules export at the functions here that bear their names (malloc_ stands for malloc, and so on). The last
   int of every signature is Cython's `skip_dispatch`. One device, one stream: everything is done when it is called. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <dlfcn.h>
#include <stdio.h>
#include <sys/mman.h>

/* the little of Python that is needed */
typedef struct _object PyObject;
extern void Py_IncRef(PyObject *);
extern char *PyBytes_AsString(PyObject *);
extern const char *PyUnicode_AsUTF8(PyObject *);
extern PyObject _Py_NoneStruct;
extern PyObject *PyExc_RuntimeError;
extern void PyErr_SetString(PyObject *, const char *);
extern PyObject *PyObject_CallFunction(PyObject *, const char *, ...);
static PyObject *none(void) {
    Py_IncRef(&_Py_NoneStruct);
    return &_Py_NoneStruct;
}

/* what happened: counters, and a log while it is switched on */
enum { LAUNCH, MALLOC, H2D, D2H, D2D, MEMSET, SYNC, GEMM, N };
long counts[N];
char log_buf[1 << 22];
size_t log_n;
int log_on;
static void lg(const char *s) {
    if (!log_on) return;
    size_t l = strlen(s);
    if (log_n + l + 2 < sizeof log_buf) {
        memcpy(log_buf + log_n, s, l);
        log_n += l;
        log_buf[log_n++] = '\n';
    }
}

/* one device, in the likeness of compute capability 9.0 */
typedef intptr_t I;
int getDevice(int s) { return 0; }
int getDeviceCount(int s) { return 1; }
int driverGetVersion(int s) { return 13000; }
int runtimeGetVersion(int s) { return 13000; }
int _getCUDAMajorVersion(int s) { return 13; }
PyObject *setDevice(int d, int s) { return none(); }
int deviceGetAttribute(int a, int d, int s) {
    switch (a) {
    case 1: return 1024;
    case 2:
    case 3: return 1024;
    case 4: return 64;
    case 5: return 2147483647;
    case 6:
    case 7: return 65535;
    case 8: return 49152;
    case 10: return 32;
    case 16: return 132;
    case 39: return 2048;
    case 75: return 9;
    case 76: return 0;
    case 81: return 233472;
    case 97: return 232448;
    default: return 0;
    }
}
PyObject *g_props, *g_mem, *g_pa;
PyObject *getDeviceProperties(int d, int s) {
    Py_IncRef(g_props);
    return g_props;
}
PyObject *memGetInfo(int s) {
    Py_IncRef(g_mem);
    return g_mem;
}
PyObject *pointerGetAttributes(intptr_t p, int s) {
    return PyObject_CallFunction(g_pa, "inni", 0, (intptr_t)p, (intptr_t)p, 2);
}
PyObject *_ensure_context(void) { return none(); }
PyObject *check_status(int st, int s) {
    if (st) {
        PyErr_SetString(PyExc_RuntimeError, "cupysim: status");
        return 0;
    }
    return none();
}
PyObject *deviceSynchronize(int s) {
    counts[SYNC]++;
    lg("sync device");
    return none();
}

/* memory: fresh bytes are 0xCB, so that reading what nobody wrote shows */
static int guard = -1; /* CUPYSIM_GUARD=1: array ends at an unmapped page, so an out-of-bounds access segfaults */
static I gmalloc(size_t n) {
    size_t pg = 4096, m = (n + pg - 1) / pg * pg;
    if (!m) m = pg;
    char *b = mmap(0, m + pg, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b == MAP_FAILED) return 0;
    memset(b, 0xCB, m);
    mprotect(b + m, pg, PROT_NONE);
    return (I)(b + m - ((n + 3) & ~(size_t)3));
}
I malloc_(size_t n, int s) {
    counts[MALLOC]++;
    if (guard < 0) guard = getenv("CUPYSIM_GUARD") != 0;
    if (guard) return gmalloc(n);
    void *p = 0;
    if (posix_memalign(&p, 512, n ? n : 1)) return 0;
    memset(p, 0xCB, n);
    return (I)p;
}
I mallocAsync(size_t n, I st, int s) { return malloc_(n, 0); }
I hostAlloc(size_t n, unsigned f, int s) {
    void *p = 0;
    if (posix_memalign(&p, 512, n ? n : 1)) return 0;
    return (I)p;
}
PyObject *free_(I p, int s) {
    if (guard > 0) mprotect((void *)(p & ~(I)4095), 4096, PROT_NONE); /* a use after free crashes */
    else free((void *)p);
    return none();
}
PyObject *freeAsync(I p, I st, int s) { return free_(p, 0); }
PyObject *freeHost(I p, int s) {
    free((void *)p);
    return none();
}
static void cp(I d, I s, size_t n, int k, int async_) {
    char b[64];
    int c = k == 1 ? H2D : k == 2 ? D2H : D2D;
    counts[c]++;
    snprintf(b, 64, "memcpy%s %s %zu", async_ ? "Async" : "", c == H2D ? "H2D" : c == D2H ? "D2H" : "D2D", n);
    lg(b);
    if (!async_) { counts[SYNC]++; }
    memmove((void *)d, (void *)s, n);
}
PyObject *memcpy_(I d, I s, size_t n, int k, int x) {
    cp(d, s, n, k, 0);
    return none();
}
PyObject *memcpyAsync(I d, I s, size_t n, int k, I st, int x) {
    cp(d, s, n, k, 1);
    return none();
}
PyObject *memset_(I p, int v, size_t n, int x) {
    counts[MEMSET]++;
    lg("memset");
    memset((void *)p, v, n);
    return none();
}
PyObject *memsetAsync(I p, int v, size_t n, I st, int x) { return memset_(p, v, n, 0); }

/* streams and events: handles that stand for nothing */
static I next_h = 1000;
I streamCreate(int s) { return next_h++; }
I streamCreateWithFlags(unsigned f, int s) { return next_h++; }
I streamCreateWithPriority(unsigned f, int p, int s) { return next_h++; }
PyObject *streamDestroy(I st, int s) { return none(); }
PyObject *streamSynchronize(I st, int s) {
    counts[SYNC]++;
    lg("sync stream");
    return none();
}
PyObject *streamQuery(I st, int s) { return none(); }
PyObject *streamWaitEvent(I st, I e, int s, void *o) { return none(); }
int streamIsCapturing(I st, int s) { return 0; }
I eventCreate(int s) { return next_h++; }
I eventCreateWithFlags(unsigned f, int s) { return next_h++; }
PyObject *eventDestroy(I e, int s) { return none(); }
PyObject *eventRecord(I e, I st, int s) { return none(); }
PyObject *eventSynchronize(I e, int s) {
    counts[SYNC]++;
    lg("sync event");
    return none();
}
PyObject *eventQuery(I e, int s) { return none(); }
float eventElapsedTime(I a, I b, int s) { return 0; }
int pointerGetMemoryType(I p, int s) { return 2; }

/* driver: a module is a shared object that holds one `NAME__emu` for every kernel */
I moduleLoadData(PyObject *img, int s) {
    void *h = dlopen(PyBytes_AsString(img), RTLD_NOW | RTLD_LOCAL);
    if (!h) PyErr_SetString(PyExc_RuntimeError, dlerror());
    return (I)h;
}
PyObject *moduleUnload(I h, int s) { return none(); }
typedef struct {
    void (*run)(const unsigned *, size_t, void **);
    char name[256];
} Fn;
I moduleGetFunction(I h, PyObject *nm, int s) {
    const char *n = PyUnicode_AsUTF8(nm);
    char b[300];
    snprintf(b, 300, "%s__emu", n);
    void *f = dlsym((void *)h, b);
    if (!f) {
        PyErr_SetString(PyExc_RuntimeError, "cupysim: kernel not found");
        return 0;
    }
    Fn *r = malloc(sizeof(Fn));
    r->run = f;
    snprintf(r->name, 256, "%s", n);
    return (I)r;
}
int funcGetAttribute(int a, I f, int s) { return a == 0 ? 1024 : 0; }
PyObject *funcSetAttribute(I f, int a, int v, int s) { return none(); }
int occupancyMaxActiveBlocksPerMultiprocessor(I f, int b, size_t m, int s) { return 2; }
PyObject *launchKernel(I f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned sh,
                       I st, I kp, I ex, int s) {
    Fn *r = (Fn *)f;
    unsigned d[6] = {gx, gy, gz, bx, by, bz};
    counts[LAUNCH]++;
    if (log_on) {
        char b[400];
        snprintf(b, 400, "launch %s grid=(%u,%u,%u) block=(%u,%u,%u)", r->name, gx, gy, gz, bx, by, bz);
        lg(b);
    }
    if ((size_t)bx * by * bz > 1024 || sh > 49152) {
        PyErr_SetString(PyExc_RuntimeError,
                        "CUDA_ERROR_INVALID_VALUE: block > 1024 threads or > 48 KiB dynamic shared memory");
        return 0;
    }
    r->run(d, sh, (void **)kp);
    return none();
}
/* called by the fake cublas */
void sim_gemm_note(int tf32) {
    counts[GEMM]++;
    lg(tf32 ? "gemm tf32" : "gemm");
}
