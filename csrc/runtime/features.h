// What this CPU can do, asked of CPUID by ourselves: a machine's model name says too little under a hypervisor.
// The names are those of GCC's -m flags, so the compiler target and the kernel cache's key are made from them.
#pragma once
#include <string_view>
#include <vector>

namespace axon {

// How far the instructions go that programs may use: AXON_MAX_ISA=avx2 or avx512 hides what lies beyond, so that one
// machine can stand for a lesser one. avx512 is the first five sets; AMX, and the half types' instructions, come later.
enum class Isa { avx2, avx512, all };

// Read once. Throws std::invalid_argument where AXON_MAX_ISA is neither.
Isa max_isa();

// The features of this CPU that the operating system lets programs use and max_isa() does not hide, in a fixed order.
std::vector<std::string_view> cpu_features();

// Whether all sets of AVX-512 that our code for it is compiled with are among them: the five of Isa::avx512.
bool has_avx512();

}  // namespace axon
