"""The same workloads as other frameworks' users write them. A framework is a package that fills TABLE as ours."""
