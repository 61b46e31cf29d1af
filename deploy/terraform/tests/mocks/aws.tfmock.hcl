# What the tests make of AWS. Names that a test compares are fixed; the rest is made up by Terraform.

mock_data "aws_caller_identity" {
  defaults = { account_id = "111122223333" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

mock_data "aws_region" {
  defaults = { region = "eu-central-1" }
}

mock_data "aws_subnet" {
  defaults = {
    vpc_id                  = "vpc-0123456789abcdef0"
    map_public_ip_on_launch = false
  }
}

mock_resource "aws_kinesis_stream" {
  defaults = { arn = "arn:aws:kinesis:eu-central-1:111122223333:stream/made" }
}
