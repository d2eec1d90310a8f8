// SHA-256 (FIPS 180-4): the digest that says whether a file is the one that was written.
#pragma once
#include <array>
#include <cstdint>
#include <span>

namespace axon {

using Digest = std::array<uint8_t, 32>;

Digest sha256(std::span<const char> bytes);

}  // namespace axon
