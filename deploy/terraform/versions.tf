terraform {
  # 1.9: validation blocks that look at other variables.
  required_version = ">= 1.9.0"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 6.25 is the oldest version whose schema the tests know; it has ECS blue/green and the idle time-out of an NLB.
      version = ">= 6.25.0, < 7.0.0"
    }
  }
}
