# Inputs about the gateway and the network that are refused. Each case breaks one rule.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  environment        = "prd"
  image              = "iotlink-gateway:0.1.0"
  vpc_id             = "vpc-0123456789abcdef0"
  private_subnet_ids = ["subnet-a", "subnet-b"]
  nlb                = { cidr_blocks = ["10.0.0.0/8"] }
  tcp_listeners      = { trackers = {} }
  settings           = { auth = { devices = "open" } }
}

run "name_too_long" {
  command = plan
  variables {
    name = "iotlink-gateway-of-ours"
  }
  expect_failures = [var.name]
}

run "environment_unknown" {
  command = plan
  variables {
    environment = "prod"
  }
  expect_failures = [var.environment]
}

run "image_latest" {
  command = plan
  variables {
    image = "iotlink-gateway:latest"
  }
  expect_failures = [var.image]
}

run "image_without_tag" {
  command = plan
  variables {
    image = "iotlink-gateway"
  }
  expect_failures = [var.image]
}

run "repository_by_name" {
  command = plan
  variables {
    ecr_repository_arn = "iotlink-gateway"
  }
  expect_failures = [var.ecr_repository_arn]
}

run "listener_name_too_long" {
  command = plan
  variables {
    tcp_listeners = { heavytrucks = {} }
  }
  expect_failures = [var.tcp_listeners]
}

run "port_of_root" {
  command = plan
  variables {
    tcp_listeners = { trackers = { port = 502 } }
  }
  expect_failures = [var.tcp_listeners]
}

run "idle_beyond_the_load_balancer" {
  command = plan
  variables {
    tcp_listeners = { trackers = { idle_timeout_s = 600 } }
  }
  expect_failures = [var.tcp_listeners]
}

run "idle_of_a_tls_listener" {
  command = plan
  variables {
    nlb           = { cidr_blocks = ["10.0.0.0/8"], certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/c" }
    tcp_listeners = { trackers = { tls = true, nlb_idle_timeout_s = 600 } }
  }
  expect_failures = [var.tcp_listeners]
}

run "idle_out_of_range" {
  command = plan
  variables {
    tcp_listeners = { trackers = { nlb_idle_timeout_s = 7000 } }
  }
  expect_failures = [var.tcp_listeners]
}

run "same_port_twice" {
  command = plan
  variables {
    mqtt_listeners = { mqtt = { port = 5023, nlb_port = 1883 } }
  }
  expect_failures = [var.mqtt_listeners]
}

run "same_port_outside_twice" {
  command = plan
  variables {
    mqtt_listeners = { mqtt = { nlb_port = 5023 } }
  }
  expect_failures = [var.mqtt_listeners]
}

run "same_name_twice" {
  command = plan
  variables {
    mqtt_listeners = { trackers = {} }
  }
  expect_failures = [var.mqtt_listeners]
}

run "port_of_the_metrics" {
  command = plan
  variables {
    mqtt_listeners = { mqtt = { port = 9464 } }
  }
  expect_failures = [var.mqtt_listeners]
}

run "mqtt_idle_of_a_tls_listener" {
  command = plan
  variables {
    nlb            = { cidr_blocks = ["10.0.0.0/8"], certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/c" }
    mqtt_listeners = { mqtt = { tls = true, nlb_idle_timeout_s = 600 } }
  }
  expect_failures = [var.mqtt_listeners]
}

run "listeners_without_load_balancer" {
  command = plan
  variables {
    nlb = null
  }
  expect_failures = [var.nlb]
}

run "load_balancer_without_listeners" {
  command = plan
  variables {
    tcp_listeners = {}
  }
  expect_failures = [var.nlb]
}

run "nobody_may_connect" {
  command = plan
  variables {
    nlb = { cidr_blocks = [] }
  }
  expect_failures = [var.nlb]
}

run "tls_without_certificate" {
  command = plan
  variables {
    tcp_listeners = { trackers = { tls = true } }
  }
  expect_failures = [var.nlb]
}

run "rest_without_certificate" {
  command = plan
  variables {
    rest     = { certificate_arn = "mine", cidr_blocks = ["10.0.0.0/8"] }
    settings = { auth = { devices = "open", anonymous_rest = true } }
  }
  expect_failures = [var.rest]
}

run "rest_for_nobody" {
  command = plan
  variables {
    rest     = { certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/c", cidr_blocks = ["everyone"] }
    settings = { auth = { devices = "open", anonymous_rest = true } }
  }
  expect_failures = [var.rest]
}

run "rest_without_clients" {
  command = plan
  variables {
    rest = { certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/c", cidr_blocks = ["10.0.0.0/8"] }
  }
  expect_failures = [var.settings]
}

run "nothing_says_who_may_send" {
  command = plan
  variables {
    settings = {}
  }
  expect_failures = [var.settings]
}

run "sinks_by_hand" {
  command = plan
  variables {
    settings = { auth = { devices = "open" }, sinks = { main = { type = "stdout" } } }
  }
  expect_failures = [var.settings]
}

run "listeners_by_hand" {
  command = plan
  variables {
    settings = { auth = { devices = "open" }, tcp = { listeners = [] } }
  }
  expect_failures = [var.settings]
}

run "spool_by_hand" {
  command = plan
  variables {
    settings = { auth = { devices = "open" }, spool = { dir = "/tmp" } }
  }
  expect_failures = [var.settings]
}

run "secret_itself" {
  command = plan
  variables {
    secrets = { HMAC_ERP = "very-secret" }
  }
  expect_failures = [var.secrets]
}

run "secret_with_a_strange_name" {
  command = plan
  variables {
    secrets = { hmac-erp = "arn:aws:ssm:eu-central-1:111122223333:parameter/erp" }
  }
  expect_failures = [var.secrets]
}

run "key_by_alias" {
  command = plan
  variables {
    secrets_kms_key_arns = ["arn:aws:kms:eu-central-1:111122223333:alias/mine"]
  }
  expect_failures = [var.secrets_kms_key_arns]
}

run "no_vpc" {
  command = plan
  variables {
    vpc_id = "main"
  }
  expect_failures = [var.vpc_id]
}

run "one_subnet" {
  command = plan
  variables {
    private_subnet_ids = ["subnet-a"]
  }
  expect_failures = [var.private_subnet_ids]
}

run "public_in_private_subnets" {
  command = plan
  variables {
    nlb = { cidr_blocks = ["10.0.0.0/8"], internal = false }
  }
  expect_failures = [var.load_balancer_subnet_ids]
}

run "way_out_without_port" {
  command = plan
  variables {
    extra_egress = { broker = { cidr_block = "10.0.0.0/8", port = 0 } }
  }
  expect_failures = [var.extra_egress]
}

run "two_namespaces" {
  command = plan
  variables {
    discovery = { namespace_id = "ns-1", namespace_name = "x.internal" }
  }
  expect_failures = [var.discovery]
}

run "settings_section_unknown" {
  command = plan
  variables {
    settings = { auth = { devices = "open" }, kafka = {} }
  }
  expect_failures = [var.settings]
}

run "settings_with_a_secret_that_is_not_there" {
  command = plan
  variables {
    settings = { auth = { devices = "open", clients = [{ id = "erp", hmac = { secrets = ["$${env:HMAC_ERP}"] } }] } }
  }
  expect_failures = [var.settings]
}
