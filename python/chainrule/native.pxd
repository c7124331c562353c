# What Cython code needs of chainrule: `from chainrule cimport native`, with the headers of `chainrule.get_include()`.
#
# The types of activations and losses (chainrule/native.h), the engine (chainrule/engine.h), and how to get at it. It does
# not make Python wait: nothing below needs Python's lock but engine() and network().
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_Import


cdef extern from "chainrule/native.h" nogil:
    ctypedef void (*chainrule_forward_float32)(ptrdiff_t n, const float* z, float* h, void* user) noexcept nogil
    ctypedef void (*chainrule_forward_float64)(ptrdiff_t n, const double* z, double* h, void* user) noexcept nogil
    ctypedef void (*chainrule_backward_float32)(
        ptrdiff_t n, const float* z, const float* h, const float* dh, float* dz, void* user
    ) noexcept nogil
    ctypedef void (*chainrule_backward_float64)(
        ptrdiff_t n, const double* z, const double* h, const double* dh, double* dz, void* user
    ) noexcept nogil
    ctypedef double (*chainrule_row_loss_float32)(
        ptrdiff_t outputs, const float* p, const float* y, float* dp, void* user
    ) noexcept nogil
    ctypedef double (*chainrule_row_loss_float64)(
        ptrdiff_t outputs, const double* p, const double* y, double* dp, void* user
    ) noexcept nogil


cdef extern from "chainrule/engine.h" nogil:
    int CHAINRULE_ENGINE_ABI
    const char* CHAINRULE_ENGINE_CAPSULE
    const char* CHAINRULE_NETWORK_CAPSULE

    ctypedef struct chainrule_network:
        pass

    ctypedef struct chainrule_engine:
        unsigned int abi
        const char* (*error)() noexcept nogil
        ptrdiff_t (*inputs)(const chainrule_network* network) noexcept nogil
        ptrdiff_t (*outputs)(const chainrule_network* network) noexcept nogil
        int (*predict_float32)(chainrule_network* network, ptrdiff_t rows, const float* x, float* p) noexcept nogil
        int (*predict_float64)(chainrule_network* network, ptrdiff_t rows, const double* x, double* p) noexcept nogil
        int (*matmul_float32)(
            ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float* a, const float* b, float* c
        ) noexcept nogil
        int (*matmul_float64)(
            ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const double* a, const double* b, double* c
        ) noexcept nogil
        void (*tanh_float32)(ptrdiff_t n, const float* z, float* h) noexcept nogil
        void (*tanh_float64)(ptrdiff_t n, const double* z, double* h) noexcept nogil
        void (*sigmoid_float32)(ptrdiff_t n, const float* z, float* h) noexcept nogil
        void (*sigmoid_float64)(ptrdiff_t n, const double* z, double* h) noexcept nogil


cdef inline const chainrule_engine* engine() except NULL:
    """Return the engine; ImportError where it is another one than these declarations are for."""
    cdef const chainrule_engine* found = <const chainrule_engine*> PyCapsule_Import(CHAINRULE_ENGINE_CAPSULE, 0)
    if found.abi != <unsigned int> CHAINRULE_ENGINE_ABI:
        raise ImportError(
            f"built for version {CHAINRULE_ENGINE_ABI} of chainrule/engine.h, but the engine has {found.abi}: build anew"
        )
    return found


cdef inline chainrule_network* network(object handle) except NULL:
    """Return the network that `handle`, from `net.core.handle()`, holds as long as somebody holds it."""
    return <chainrule_network*> PyCapsule_GetPointer(handle, CHAINRULE_NETWORK_CAPSULE)
