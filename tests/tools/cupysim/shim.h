/* CUDA C++ as g++ takes it: the qualifiers, types and intrinsics that CuPy's kernels use, and a launcher that runs the
   blocks one by one and the threads of a block as fibers, so that __syncthreads and warp shuffles work. */
#pragma once
#include <cstdint>
#include <cstddef>
#include <cstring>
#include <cstdlib>
#include <cstdio>
#include <cmath>
#include <cfloat>
#include <cassert>
#include <climits>
#include <type_traits>
#include <utility>
#include <vector>
#include <algorithm>
#include <initializer_list>
#define __device__
#define __host__
#define __global__
#define __constant__
#define __forceinline__ inline
#define __noinline__
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static /* blocks run one at a time */
#define __CUPYSIM__ 1
struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct int2 {
    int x, y;
};
struct int4 {
    int x, y, z, w;
};
static inline float4 make_float4(float a, float b, float c, float d) { return {a, b, c, d}; }
static inline float2 make_float2(float a, float b) { return {a, b}; }
static uint3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;
static const int warpSize = 32;
using std::abs;
using std::acos;
using std::acosh;
using std::asin;
using std::asinh;
using std::atan;
using std::atan2;
using std::atanh;
using std::cbrt;
using std::ceil;
using std::copysign;
using std::cos;
using std::cosh;
using std::erf;
using std::erfc;
using std::exp;
using std::exp2;
using std::expm1;
using std::fabs;
using std::floor;
using std::fma;
using std::fmax;
using std::fmin;
using std::fmod;
using std::frexp;
using std::hypot;
using std::isfinite;
using std::isinf;
using std::isnan;
using std::ldexp;
using std::lgamma;
using std::log;
using std::log10;
using std::log1p;
using std::log2;
using std::nextafter;
using std::pow;
using std::rint;
using std::round;
using std::signbit;
using std::sin;
using std::sinh;
using std::sqrt;
using std::tan;
using std::tanh;
using std::tgamma;
using std::trunc;
static inline float rsqrtf(float x) { return 1.f / sqrtf(x); }
static inline double rsqrt(double x) { return 1. / std::sqrt(x); }
static inline float rsqrt(float x) { return rsqrtf(x); }
#define __expf(x) expf(x)
#define __logf(x) logf(x)
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __frcp_rn(float x) { return 1.f / x; }
static inline double normcdf(double x) { return .5 * std::erfc(-x * 0.70710678118654752440); }
static inline float normcdff(float x) { return (float)normcdf(x); }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline long long __double_as_longlong(double x) {
    long long r;
    memcpy(&r, &x, 8);
    return r;
}
static inline double __longlong_as_double(long long x) {
    double r;
    memcpy(&r, &x, 8);
    return r;
}
static inline int __float_as_int(float x) {
    int r;
    memcpy(&r, &x, 4);
    return r;
}
static inline float __int_as_float(int x) {
    float r;
    memcpy(&r, &x, 4);
    return r;
}
static inline unsigned __float_as_uint(float x) {
    unsigned r;
    memcpy(&r, &x, 4);
    return r;
}
static inline float __uint_as_float(unsigned x) {
    float r;
    memcpy(&r, &x, 4);
    return r;
}
template <class A, class B> static inline typename std::common_type<A, B>::type min(A a, B b) {
    typedef typename std::common_type<A, B>::type C;
    return (C)b < (C)a ? (C)b : (C)a;
}
template <class A, class B> static inline typename std::common_type<A, B>::type max(A a, B b) {
    typedef typename std::common_type<A, B>::type C;
    return (C)a < (C)b ? (C)b : (C)a;
}
template <class T> static inline T __ldg(const T *p) { return *p; }
#define SIM_AT(T)                               \
    static inline T atomicAdd(T *p, T v) {      \
        T o = *p;                               \
        *p += v;                                \
        return o;                               \
    }                                           \
    static inline T atomicExch(T *p, T v) {     \
        T o = *p;                               \
        *p = v;                                 \
        return o;                               \
    }                                           \
    static inline T atomicCAS(T *p, T c, T v) { \
        T o = *p;                               \
        if (o == c) *p = v;                     \
        return o;                               \
    }
#define SIM_MM(T)                          \
    static inline T atomicMax(T *p, T v) { \
        T o = *p;                          \
        if (v > o) *p = v;                 \
        return o;                          \
    }                                      \
    static inline T atomicMin(T *p, T v) { \
        T o = *p;                          \
        if (v < o) *p = v;                 \
        return o;                          \
    }
SIM_MM(int)
SIM_MM(unsigned)
SIM_MM(unsigned long long)
SIM_MM(long long)
SIM_AT(int)
SIM_AT(unsigned)
SIM_AT(float)
SIM_AT(double)
SIM_AT(unsigned long long)
static inline void __threadfence() {}
static inline void __threadfence_block() {}
#define __CUDACC_VER_MAJOR__ 13

/* ---- threads of a block as fibers ---- */
namespace sim {
enum { READY, BLOCK, WARP, DONE };
struct Fiber {
    void *sp;
    char *stack;
    int st;
    unsigned long long slot;
    unsigned tx, ty, tz;
};
static std::vector<Fiber> F;
static int cur;
static void *main_sp;
static void (*entry)(void *);
static void *arg;
static size_t nthr;
static char *dyn;
extern "C" void cupysim_switch(void **save, void *to);
asm(R"(
.text
.local cupysim_switch
cupysim_switch:
 pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
 movq %rsp,(%rdi); movq %rsi,%rsp
 popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
 ret
)");
static void back(int st) {
    F[cur].st = st;
    int me = cur;
    cupysim_switch(&F[me].sp, main_sp);
}
static void tramp() {
    entry(arg);
    back(DONE);
    abort();
}
static const size_t STK = 1 << 16;
static void run_block(bool fib, void (*e)(void *), void *a) {
    entry = e;
    arg = a;
    nthr = (size_t)blockDim.x * blockDim.y * blockDim.z;
    if (!fib) {
        for (unsigned z = 0; z < blockDim.z; z++)
            for (unsigned y = 0; y < blockDim.y; y++)
                for (unsigned x = 0; x < blockDim.x; x++) {
                    threadIdx = {x, y, z};
                    e(a);
                }
        return;
    }
    while (F.size() < nthr) {
        Fiber f;
        f.stack = (char *)aligned_alloc(64, STK);
        F.push_back(f);
    }
    for (size_t i = 0; i < nthr; i++) {
        Fiber &f = F[i];
        f.st = READY;
        f.tx = i % blockDim.x;
        f.ty = i / blockDim.x % blockDim.y;
        f.tz = i / blockDim.x / blockDim.y;
        void **s = (void **)(f.stack + STK);
        *--s = 0;
        *--s = (void *)tramp;
        for (int r = 0; r < 6; r++) *--s = 0;
        f.sp = s;
    }
    static unsigned rnd = getenv("CUPYSIM_SEED") ? atoi(getenv("CUPYSIM_SEED")) : 0;
    size_t left = nthr;
    while (left) {
        bool any = false;
        size_t off = 0;
        bool rev = false;
        if (rnd) {
            rnd = rnd * 1664525u + 1013904223u;
            off = (rnd >> 8) % nthr;
            rev = rnd >> 31;
        }
        for (size_t j = 0; j < nthr; j++) {
            size_t i = (off + (rev ? nthr - 1 - j : j)) % nthr;
            if (F[i].st != READY) continue;
            any = true;
            cur = i;
            threadIdx = {F[i].tx, F[i].ty, F[i].tz};
            cupysim_switch(&main_sp, F[i].sp);
            if (F[i].st == DONE) left--;
        }
        if (any) continue;
        bool moved = false;
        size_t blk = 0, live = 0;
        for (size_t w = 0; w < nthr; w += 32) {
            size_t e = w + 32 < nthr ? w + 32 : nthr, l = 0, ww = 0;
            for (size_t i = w; i < e; i++) {
                if (F[i].st != DONE) {
                    l++;
                    if (F[i].st == WARP) ww++;
                    if (F[i].st == BLOCK) blk++;
                }
            }
            live += l;
            if (l && ww == l) {
                for (size_t i = w; i < e; i++)
                    if (F[i].st == WARP) F[i].st = READY;
                moved = true;
            }
        }
        if (moved) continue;
        if (left && blk == live) {
            static bool warned = false;
            if (live != nthr && !warned && getenv("CUPYSIM_WARN")) {
                warned = true;
                fprintf(stderr, "cupysim: __syncthreads reached by %zu of %zu threads (others returned)\n", live,
                        nthr);
            }
            for (size_t i = 0; i < nthr; i++)
                if (F[i].st == BLOCK) F[i].st = READY;
            continue;
        }
        if (left) {
            fprintf(stderr, "cupysim: DEADLOCK: divergent barrier (%zu at __syncthreads of %zu live)\n", blk, live);
            abort();
        }
    }
}
template <class T> static T shfl(T v, int src) {
    static_assert(sizeof(T) <= 8, "shfl");
    unsigned long long b = 0;
    memcpy(&b, &v, sizeof(T));
    int me = cur;
    F[me].slot = b;
    back(WARP);
    threadIdx = {F[me].tx, F[me].ty, F[me].tz};
    int base = me & ~31;
    unsigned long long r = F[base + src].slot;
    back(WARP);
    threadIdx = {F[me].tx, F[me].ty, F[me].tz};
    T o;
    memcpy(&o, &r, sizeof(T));
    return o;
}
template <class... A> struct L {
    void (*k)(A...);
    void **p;
    template <size_t... I> void go(std::index_sequence<I...>) {
        k(*(typename std::remove_reference<A>::type *)p[I]...);
    }
    static void call(void *s) {
        L *l = (L *)s;
        l->go(std::index_sequence_for<A...>());
    }
};
template <class... A> static void launch(void (*k)(A...), bool fib, const unsigned *d, size_t sh, void **p) {
    L<A...> l{k, p};
    gridDim = dim3(d[0], d[1], d[2]);
    blockDim = dim3(d[3], d[4], d[5]);
    std::vector<char> dynbuf(sh + 16);
    dyn = (char *)(((uintptr_t)dynbuf.data() + 15) & ~(uintptr_t)15);
    for (unsigned z = 0; z < d[2]; z++)
        for (unsigned y = 0; y < d[1]; y++)
            for (unsigned x = 0; x < d[0]; x++) {
                blockIdx = {x, y, z};
                if (sh) memset(dyn, 0xCB, sh);
                run_block(fib, &L<A...>::call, &l);
            }
}
} // namespace sim
static inline void __syncthreads() {
    int me = sim::cur;
    sim::back(sim::BLOCK);
    threadIdx = {sim::F[me].tx, sim::F[me].ty, sim::F[me].tz};
}
static inline void __syncwarp(unsigned = ~0u) {
    int me = sim::cur;
    sim::back(sim::WARP);
    threadIdx = {sim::F[me].tx, sim::F[me].ty, sim::F[me].tz};
}
template <class T> static inline T __shfl_xor_sync(unsigned, T v, int m, int w = 32) {
    return sim::shfl(v, (sim::cur & 31) ^ m);
}
template <class T> static inline T __shfl_down_sync(unsigned, T v, int d, int w = 32) {
    int l = sim::cur & 31;
    return sim::shfl(v, l + d < 32 ? l + d : l);
}
template <class T> static inline T __shfl_up_sync(unsigned, T v, int d, int w = 32) {
    int l = sim::cur & 31;
    return sim::shfl(v, l - d >= 0 ? l - d : l);
}
template <class T> static inline T __shfl_sync(unsigned, T v, int s, int w = 32) { return sim::shfl(v, s & 31); }
