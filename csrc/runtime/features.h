// What this CPU can do, asked of CPUID by ourselves: a machine's model name says too little under a hypervisor.
// The names are those of GCC's -m flags, so the compiler target and the kernel cache's key are made from them.
#pragma once
#include <string_view>
#include <vector>

namespace axon {

// The features of this CPU that the operating system lets programs use, in a fixed order.
std::vector<std::string_view> cpu_features();

}  // namespace axon
