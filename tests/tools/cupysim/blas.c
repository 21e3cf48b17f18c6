/* The part of cuBLAS that CuPy calls for float32 and float64: products by plain loops. Every other entry point is a
   stub, made by __init__.py, that names itself and fails. */
#include <stddef.h>
#include <stdio.h>
#include <dlfcn.h>
typedef void *H;
extern void sim_gemm_note(int);
#define T(NAME, R, A)                                                                                             \
    static void NAME(int ta, int tb, int m, int n, int k, A al, const R *a, long lda, const R *b, long ldb, A be, \
                     R *c, long ldc) {                                                                            \
        for (int j = 0; j < n; j++)                                                                               \
            for (int i = 0; i < m; i++) {                                                                         \
                if (be == 0) c[i + j * ldc] = 0;                                                                  \
                else c[i + j * ldc] *= be;                                                                        \
            }                                                                                                     \
        for (int j = 0; j < n; j++) {                                                                             \
            if (!ta) {                                                                                            \
                for (int p = 0; p < k; p++) {                                                                     \
                    R v = al * (tb ? b[j + p * ldb] : b[p + j * ldb]);                                            \
                    for (int i = 0; i < m; i++) c[i + j * ldc] += a[i + p * lda] * v;                             \
                }                                                                                                 \
            } else                                                                                                \
                for (int i = 0; i < m; i++) {                                                                     \
                    R s = 0;                                                                                      \
                    for (int p = 0; p < k; p++) s += a[p + i * lda] * (tb ? b[j + p * ldb] : b[p + j * ldb]);     \
                    c[i + j * ldc] += al * s;                                                                     \
                }                                                                                                 \
        }                                                                                                         \
    }
T(sg, float, float)
T(dg, double, double)
static int bad(const char *w) {
    fprintf(stderr, "cupysim: cublas call not simulated: %s\n", w);
    return 15;
}
int cublasCreate_v2(H *h) {
    *h = (H)1;
    return 0;
}
int cublasDestroy_v2(H h) { return 0; }
int cublasGetVersion_v2(H h, int *v) {
    *v = 130000;
    return 0;
}
int cublasSetStream_v2(H h, void *s) { return 0; }
int cublasGetStream_v2(H h, void **s) {
    *s = 0;
    return 0;
}
static int pm, mm;
int cublasSetPointerMode_v2(H h, int m) {
    pm = m;
    return 0;
}
int cublasGetPointerMode_v2(H h, int *m) {
    *m = pm;
    return 0;
}
int cublasSetMathMode(H h, int m) {
    mm = m;
    return 0;
}
int cublasGetMathMode(H h, int *m) {
    *m = mm;
    return 0;
}
int cublasGemmEx(H h, int ta, int tb, int m, int n, int k, const void *al, const void *a, int at, int lda,
                 const void *b, int bt, int ldb, const void *be, void *c, int ct, int ldc, int comp, int algo) {
    sim_gemm_note(comp == 77);
    if (ct == 0) sg(ta, tb, m, n, k, *(float *)al, a, lda, b, ldb, *(float *)be, c, ldc);
    else if (ct == 1) dg(ta, tb, m, n, k, *(double *)al, a, lda, b, ldb, *(double *)be, c, ldc);
    else return bad("GemmEx dtype");
    return 0;
}
int cublasGemmStridedBatchedEx(H h, int ta, int tb, int m, int n, int k, const void *al, const void *a, int at,
                               int lda, long long sa, const void *b, int bt, int ldb, long long sb, const void *be,
                               void *c, int ct, int ldc, long long sc, int batch, int comp, int algo) {
    sim_gemm_note(comp == 77);
    for (int i = 0; i < batch; i++) {
        if (ct == 0)
            sg(ta, tb, m, n, k, *(float *)al, (const float *)a + i * sa, lda, (const float *)b + i * sb, ldb,
               *(float *)be, (float *)c + i * sc, ldc);
        else if (ct == 1)
            dg(ta, tb, m, n, k, *(double *)al, (const double *)a + i * sa, lda, (const double *)b + i * sb, ldb,
               *(double *)be, (double *)c + i * sc, ldc);
        else return bad("GemmStridedBatchedEx dtype");
    }
    return 0;
}
#define SB(P, F, R)                                                                                                \
    int cublas##P##gemm_v2(H h, int ta, int tb, int m, int n, int k, const R *al, const R *a, int lda, const R *b, \
                           int ldb, const R *be, R *c, int ldc) {                                                  \
        sim_gemm_note(0);                                                                                          \
        F(ta, tb, m, n, k, *al, a, lda, b, ldb, *be, c, ldc);                                                      \
        return 0;                                                                                                  \
    }                                                                                                              \
    int cublas##P##gemmStridedBatched(H h, int ta, int tb, int m, int n, int k, const R *al, const R *a, int lda,  \
                                      long long sa, const R *b, int ldb, long long sb, const R *be, R *c, int ldc, \
                                      long long sc, int bt) {                                                      \
        sim_gemm_note(0);                                                                                          \
        for (int i = 0; i < bt; i++)                                                                               \
            F(ta, tb, m, n, k, *al, a + i * sa, lda, b + i * sb, ldb, *be, c + i * sc, ldc);                       \
        return 0;                                                                                                  \
    }                                                                                                              \
    int cublas##P##gemmBatched(H h, int ta, int tb, int m, int n, int k, const R *al, const R *const *a, int lda,  \
                               const R *const *b, int ldb, const R *be, R *const *c, int ldc, int bt) {            \
        sim_gemm_note(0);                                                                                          \
        for (int i = 0; i < bt; i++) F(ta, tb, m, n, k, *al, a[i], lda, b[i], ldb, *be, c[i], ldc);                \
        return 0;                                                                                                  \
    }                                                                                                              \
    int cublas##P##gemv_v2(H h, int t, int m, int n, const R *al, const R *a, int lda, const R *x, int ix,         \
                           const R *be, R *y, int iy) {                                                            \
        sim_gemm_note(0);                                                                                          \
        int L = t ? n : m, K = t ? m : n;                                                                          \
        for (int i = 0; i < L; i++) {                                                                              \
            R s = 0;                                                                                               \
            for (int p = 0; p < K; p++) s += (t ? a[p + (long)i * lda] : a[i + (long)p * lda]) * x[p * ix];        \
            y[i * iy] = *al * s + (*be == 0 ? 0 : *be * y[i * iy]);                                                \
        }                                                                                                          \
        return 0;                                                                                                  \
    }
SB(S, sg, float)
SB(D, dg, double) int cublasSgemmEx(H h, int ta, int tb, int m, int n, int k, const float *al, const void *a, int at,
                                    int lda, const void *b, int bt, int ldb, const float *be, void *c, int ct,
                                    int ldc) {
    sim_gemm_note(0);
    sg(ta, tb, m, n, k, *al, a, lda, b, ldb, *be, c, ldc);
    return 0;
}
