"""Branch-free mathematics and Philox4x32-10 that LLVM inlines and vectorises across lanes.

This file is pasted, as text, at the head of every generated kernel, so that the hash of a kernel covers its
mathematics too. No libm call is made and every multiply-add is an explicit fma: the bits are the same on every
vector width and do not depend on what else is compiled beside it. Errors are a few ulp (``tests/unit/kernel``).
"""
# ruff: noqa: D103
# mypy: ignore-errors

import math

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic


@intrinsic
def fma(tc, x, y, z):
    def codegen(context, builder, sig, args):
        return builder.fma(*args)

    return types.float64(types.float64, types.float64, types.float64), codegen


@intrinsic
def bits(tc, x):
    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), codegen


@intrinsic
def unbits(tc, x):
    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@intrinsic
def i2f(tc, x):
    def codegen(context, builder, sig, args):
        return builder.sitofp(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@intrinsic
def minimum(tc, x, y):
    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[0], args[1])

    return types.float64(types.float64, types.float64), codegen


@intrinsic
def maximum(tc, x, y):
    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[0], args[1])

    return types.float64(types.float64, types.float64), codegen


@intrinsic
def where(tc, c, x, y):
    def codegen(context, builder, sig, args):
        return builder.select(args[0], args[1], args[2])

    return types.float64(types.boolean, types.float64, types.float64), codegen


@intrinsic
def cttz(tc, x):
    def codegen(context, builder, sig, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), codegen


@intrinsic
def wide(tc):
    """Tune the calling function for long lane loops: 512-bit vectors, and a frame pointer.

    LLVM's tuning prefers 256 bits on some AVX-512 machines. Without a frame pointer it does not align the stack, and
    every spilled vector may cross two cache lines (8-17 % of the time, by the luck of the process).
    """

    def codegen(context, builder, sig, args):
        # llvmlite's attribute set admits known names only; the plain set takes any, and prints it as it stands
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        set.add(builder.function.attributes, '"frame-pointer"="all"')
        return context.get_dummy_value()

    return types.void(), codegen


inline = njit(error_model="numpy", forceinline=True)


@inline
def exp(x):
    x = minimum(maximum(x, -708.0), 709.0)
    z = fma(x, 1.4426950408889634, 6755399441055744.0)
    k = bits(z)
    kd = z - 6755399441055744.0
    r = fma(kd, -1.90821492927058770002e-10, fma(kd, -6.93147180369123816490e-01, x))
    # near-minimax (Chebyshev) on |r| <= log(2)/2
    p = 2.5100467798402463e-08
    p = fma(p, r, 2.7620088245041027e-07)
    p = fma(p, r, 2.7557268240731214e-06)
    p = fma(p, r, 2.4801521295615085e-05)
    p = fma(p, r, 0.0001984126986324954)
    p = fma(p, r, 0.0013888888917214558)
    p = fma(p, r, 0.008333333333329997)
    p = fma(p, r, 0.04166666666662412)
    p = fma(p, r, 0.16666666666666669)
    p = fma(p, r, 0.5000000000000001)
    p = fma(p, r, 1.0)
    p = fma(p, r, 1.0)
    return unbits(bits(p) + (k << np.int64(52)))


@inline
def log(x):
    i = bits(x)
    e = (i - np.int64(0x3FE6A09E667F3BCD)) >> np.int64(52)
    f = unbits(i - (e << np.int64(52))) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    odd = fma(
        w,
        fma(w, fma(w, 1.479819860511658591e-01, 1.818357216161805012e-01), 2.857142874366239149e-01),
        6.666666666666735130e-01,
    )
    even = fma(w, fma(w, 1.531383769920937332e-01, 2.222219843214978396e-01), 3.999999999940941908e-01)
    R = fma(z, odd, w * even)
    h = 0.5 * f * f
    k = i2f(e)
    return fma(k, 6.93147180369123816490e-01, -((h - fma(s, h + R, k * 1.90821492927058770002e-10)) - f))


@inline
def power(x, y):
    return exp(y * log(x))


@inline
def _sincos(u):
    a = (u - 0.5) * math.pi
    q = a * a
    # near-minimax (Chebyshev) on |a| <= pi/2
    s = 2.7314158922411567e-15
    s = fma(s, q, -7.643968589852e-13)
    s = fma(s, q, 1.6058977286665228e-10)
    s = fma(s, q, -2.5052107617206554e-08)
    s = fma(s, q, 2.7557319219171256e-06)
    s = fma(s, q, -0.00019841269841255028)
    s = fma(s, q, 0.008333333333333316)
    s = fma(s, q, -0.16666666666666666)
    s = a * fma(s, q, 1.0)
    c = -1.5099603326241426e-16
    c = fma(c, q, 4.776708717240412e-14)
    c = fma(c, q, -1.1470665872459774e-11)
    c = fma(c, q, 2.0876755650986342e-09)
    c = fma(c, q, -2.755731921085676e-07)
    c = fma(c, q, 2.4801587301515266e-05)
    c = fma(c, q, -0.0013888888888888692)
    c = fma(c, q, 0.041666666666666664)
    c = fma(c, q, -0.5)
    return s, fma(c, q, 1.0)


@inline
def cos2pi(u):
    s, _ = _sincos(u)
    return fma(2.0 * s, s, -1.0)


@inline
def sin2pi(u):
    s, c = _sincos(u)
    return -2.0 * s * c


@inline
def uniform(word):
    return fma(i2f(np.int64(word)), 2.3283064365386963e-10, 1.1641532182693481e-10)


@inline
def box_muller(u0, u1):
    radius = math.sqrt(-2.0 * log(u0))
    return radius * cos2pi(u1), radius * sin2pi(u1)


@inline
def normal_pair(w0, w1):
    return box_muller(uniform(w0), uniform(w1))


@inline
def philox(c0, c1, c2, c3, k0, k1):
    m = np.uint64(0xFFFFFFFF)
    s = np.uint64(32)
    # ten rounds, written out: LLVM inlines them only so
    a = np.uint64(0xD2511F53) * c0
    b = np.uint64(0xCD9E8D57) * c2
    c0 = (b >> s) ^ c1 ^ k0
    c2 = (a >> s) ^ c3 ^ k1
    c1 = b & m
    c3 = a & m
    k0 = (k0 + np.uint64(0x9E3779B9)) & m
    k1 = (k1 + np.uint64(0xBB67AE85)) & m
    a = np.uint64(0xD2511F53) * c0
    b = np.uint64(0xCD9E8D57) * c2
    c0 = (b >> s) ^ c1 ^ k0
    c2 = (a >> s) ^ c3 ^ k1
    c1 = b & m
    c3 = a & m
    k0 = (k0 + np.uint64(0x9E3779B9)) & m
    k1 = (k1 + np.uint64(0xBB67AE85)) & m
    a = np.uint64(0xD2511F53) * c0
    b = np.uint64(0xCD9E8D57) * c2
    c0 = (b >> s) ^ c1 ^ k0
    c2 = (a >> s) ^ c3 ^ k1
    c1 = b & m
    c3 = a & m
    k0 = (k0 + np.uint64(0x9E3779B9)) & m
    k1 = (k1 + np.uint64(0xBB67AE85)) & m
    a = np.uint64(0xD2511F53) * c0
    b = np.uint64(0xCD9E8D57) * c2
    c0 = (b >> s) ^ c1 ^ k0
    c2 = (a >> s) ^ c3 ^ k1
    c1 = b & m
    c3 = a & m
    k0 = (k0 + np.uint64(0x9E3779B9)) & m
    k1 = (k1 + np.uint64(0xBB67AE85)) & m
    a = np.uint64(0xD2511F53) * c0
    b = np.uint64(0xCD9E8D57) * c2
    c0 = (b >> s) ^ c1 ^ k0
    c2 = (a >> s) ^ c3 ^ k1
    c1 = b & m
    c3 = a & m
    k0 = (k0 + np.uint64(0x9E3779B9)) & m
    k1 = (k1 + np.uint64(0xBB67AE85)) & m
    a = np.uint64(0xD2511F53) * c0
    b = np.uint64(0xCD9E8D57) * c2
    c0 = (b >> s) ^ c1 ^ k0
    c2 = (a >> s) ^ c3 ^ k1
    c1 = b & m
    c3 = a & m
    k0 = (k0 + np.uint64(0x9E3779B9)) & m
    k1 = (k1 + np.uint64(0xBB67AE85)) & m
    a = np.uint64(0xD2511F53) * c0
    b = np.uint64(0xCD9E8D57) * c2
    c0 = (b >> s) ^ c1 ^ k0
    c2 = (a >> s) ^ c3 ^ k1
    c1 = b & m
    c3 = a & m
    k0 = (k0 + np.uint64(0x9E3779B9)) & m
    k1 = (k1 + np.uint64(0xBB67AE85)) & m
    a = np.uint64(0xD2511F53) * c0
    b = np.uint64(0xCD9E8D57) * c2
    c0 = (b >> s) ^ c1 ^ k0
    c2 = (a >> s) ^ c3 ^ k1
    c1 = b & m
    c3 = a & m
    k0 = (k0 + np.uint64(0x9E3779B9)) & m
    k1 = (k1 + np.uint64(0xBB67AE85)) & m
    a = np.uint64(0xD2511F53) * c0
    b = np.uint64(0xCD9E8D57) * c2
    c0 = (b >> s) ^ c1 ^ k0
    c2 = (a >> s) ^ c3 ^ k1
    c1 = b & m
    c3 = a & m
    k0 = (k0 + np.uint64(0x9E3779B9)) & m
    k1 = (k1 + np.uint64(0xBB67AE85)) & m
    a = np.uint64(0xD2511F53) * c0
    b = np.uint64(0xCD9E8D57) * c2
    c0 = (b >> s) ^ c1 ^ k0
    c2 = (a >> s) ^ c3 ^ k1
    c1 = b & m
    c3 = a & m
    return c0, c1, c2, c3
