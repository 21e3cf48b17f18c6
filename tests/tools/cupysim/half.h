/* half precision by the compiler's _Float16, in place of CUDA's cuda_fp16.h */
#pragma once
struct __half_raw {
    unsigned short x;
};
struct __half {
    _Float16 v;
    __half() {}
    template <class T, class = typename std::enable_if<std::is_arithmetic<T>::value>::type>
    __half(T f) : v((_Float16)(float)f) {}
    __half(const __half_raw &r) { memcpy(&v, &r.x, 2); }
    operator float() const { return (float)v; }
    operator __half_raw() const {
        __half_raw r;
        memcpy(&r.x, &v, 2);
        return r;
    }
};
typedef __half half;
static inline __half __float2half_rn(float f) { return __half(f); }
static inline float __half2float(__half h) { return (float)h; }
static inline unsigned short __half_as_ushort(__half h) {
    unsigned short u;
    memcpy(&u, &h.v, 2);
    return u;
}
static inline __half __ushort_as_half(unsigned short u) {
    __half_raw r{u};
    return __half(r);
}
